"""The CustomResourceDefinitions, and the program that writes them.

    python -m driftline_api.crd [--check] DIRECTORY...

writes one file a kind into each directory; with `--check` it writes nothing and fails with a
diff where a file is not what the types say. PyYAML, which only this program needs, is imported
when it runs.
"""

import argparse
import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from driftline_api import GROUP, VERSION
from driftline_api.model import ModelSpec, ModelStatus
from driftline_api.schema import VALIDATIONS, Rule
from driftline_api.structural import structural

#: Services, Deployments and Jobs derive their names from the resource's.
NAME_LIMIT: Final = 40

_NAME_RULES: Final = (
    Rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "choose a metadata.name of lowercase letters, digits and '-', that begins with a letter "
        "and ends with a letter or digit: Services are named after it",
        field=".metadata.name",
    ),
    Rule(
        f"self.metadata.name.size() <= {NAME_LIMIT}",
        f"choose a metadata.name of at most {NAME_LIMIT} characters: other names derive from it",
        field=".metadata.name",
    ),
    Rule(
        "!self.metadata.name.startsWith('driftline-')",
        "choose a metadata.name that does not begin with driftline-: "
        "those are the names of Driftline's own Services",
        field=".metadata.name",
    ),
)

_READY = '.status.conditions[?(@.type=="Ready")].status'
_DRIFT = '.status.conditions[?(@.type=="DriftFree")].reason'

_MODEL_COLUMNS: Final = (
    {"name": "Ready", "type": "string", "jsonPath": _READY},
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Revision", "type": "string", "jsonPath": ".status.stableRevision"},
    {"name": "Pods", "type": "integer", "jsonPath": ".status.readyReplicas"},
    {"name": "Drift", "type": "string", "jsonPath": _DRIFT},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "URL", "type": "string", "jsonPath": ".status.url", "priority": 1},
    {"name": "Digest", "type": "string", "jsonPath": ".status.digest", "priority": 1},
    {"name": "Message", "type": "string", "jsonPath": ".status.message", "priority": 1},
)


def model_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition of Model."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"models.{GROUP}",
            "labels": {"app.kubernetes.io/part-of": "driftline"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "Model",
                "listKind": "ModelList",
                "plural": "models",
                "singular": "model",
                "shortNames": ["dlm"],
                "categories": ["driftline"],
            },
            "versions": [_model_version()],
        },
    }


def _model_version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": list(_MODEL_COLUMNS),
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "schema": {
            "openAPIV3Schema": _kind(
                "A model that serves: its artifact is fetched, verified and served, and a new "
                "version takes over only when it is ready.",
                ModelSpec,
                ModelStatus,
            )
        },
    }


def _kind(description: str, spec: type[BaseModel], status: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a whole object."""
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        VALIDATIONS: [rule.as_schema() for rule in _NAME_RULES],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "spec": structural(spec),
            "status": structural(status, defaults=False),
        },
    }


CRDS: Final = (model_crd,)


def files() -> dict[str, str]:
    """Return the text of each file by its name. Byte-stable."""
    return {f"{crd['metadata']['name']}.yaml": _yaml(crd) for crd in (build() for build in CRDS)}


def _yaml(manifest: Mapping[str, Any]) -> str:
    import yaml  # noqa: PLC0415 - needed by this program, not by those that import the types

    class Plain(yaml.SafeDumper):
        """Repeats what occurs twice, where YAML's anchors would be hard to read."""

        def ignore_aliases(self, _data: Any) -> bool:
            return True

    body = yaml.dump(dict(manifest), Dumper=Plain, sort_keys=False, width=100, allow_unicode=True)
    return f"# Generated by `make crds` from src/driftline_api. Do not edit.\n{body}"


def _difference(path: Path, text: str) -> str:
    """Return a unified diff from the file to what it should be; empty if they are the same."""
    found = path.read_text() if path.exists() else ""
    lines = difflib.unified_diff(
        found.splitlines(keepends=True), text.splitlines(keepends=True), str(path), "the types"
    )
    return "".join(lines)


def check(directories: Sequence[Path]) -> str:
    """Return how the files in the directories differ from the types; empty if they do not."""
    return "".join(
        _difference(directory / name, text)
        for directory in directories
        for name, text in files().items()
    )


def write(directories: Sequence[Path]) -> None:
    """Write every file into every directory."""
    for directory in directories:
        for name, text in files().items():
            (directory / name).write_text(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m driftline_api.crd", description=__doc__)
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIRECTORY")
    parser.add_argument("--check", action="store_true", help="compare only")
    given = parser.parse_args(arguments)
    if not given.check:
        write(given.directories)
        return 0
    difference = check(given.directories)
    if difference:
        sys.stderr.write(f"{difference}\nThe CRDs are not what the types say: run `make crds`.\n")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
