"""What of the chart can be checked without a cluster, by the real helm.

    python -m e2e.chart_check [--update]

lints it with each set of values under `tests/chart/values` and compares what is rendered with
the golden files beside them, which `--update` writes anew.
"""

import argparse
import difflib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from e2e.cluster.binaries import HELM_CLI, build
from e2e.cluster.layout import default_layout

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts" / "driftline"
VALUES = ROOT / "tests" / "chart" / "values"
GOLDEN = ROOT / "tests" / "chart" / "golden"

#: A helm built from its module takes itself for one that renders for Kubernetes 1.20.
KUBERNETES = "1.34.4"
MONITORS = "monitoring.coreos.com/v1"


class HelmError(Exception):
    """helm refused; the message is what it printed."""


def helm_binary() -> Path:
    """Return helm: `DRIFTLINE_HELM`, or the one that the cluster uses, built if need be."""
    given = os.environ.get("DRIFTLINE_HELM")
    return Path(given) if given else build(default_layout(), HELM_CLI)


def helm(*arguments: str, stdin: str | None = None) -> str:
    """Run helm and return what it printed.

    Raises:
        HelmError: it failed.
    """
    command = [str(helm_binary()), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise HelmError((done.stderr + done.stdout).strip())
    return done.stdout


def render(values: str, *, namespace: str = "driftline-system", monitors: bool = True) -> str:
    """Return the manifests of an installation.

    Args:
        values: YAML.
        namespace: the release's.
        monitors: whether the cluster knows the Prometheus operator's kinds.
    """
    flags = [f"--namespace={namespace}", f"--kube-version={KUBERNETES}", "--values=-"]
    if monitors:
        flags.append(f"--api-versions={MONITORS}")
    return helm("template", "driftline", str(CHART), *flags, stdin=values)


def value_sets() -> list[Path]:
    """Return the files of values that stand for kinds of installation."""
    return sorted(VALUES.glob("*.yaml"))


def rendered_for_golden(values: Path) -> str:
    """Return what a golden file holds: all but the CRDs, which are compared on their own."""
    documents = render(values.read_text()).split("\n---\n")
    return "\n---\n".join(text for text in documents if "templates/crds.yaml" not in text)


def differences() -> Iterator[str]:
    """Yield a unified diff for each golden file that is not what the chart renders."""
    for values in value_sets():
        golden = GOLDEN / values.name
        found = golden.read_text() if golden.exists() else ""
        expected = rendered_for_golden(values)
        diff = difflib.unified_diff(
            found.splitlines(), expected.splitlines(), str(golden), "the chart", lineterm=""
        )
        text = "\n".join(diff)
        if text:
            yield text


def update() -> None:
    """Write all golden files."""
    GOLDEN.mkdir(exist_ok=True)
    for values in value_sets():
        (GOLDEN / values.name).write_text(rendered_for_golden(values))


def lint() -> None:
    """Lint the chart with each set of values; warnings count.

    Raises:
        HelmError: it does not pass.
    """
    for values in value_sets():
        flags = [f"--values={values}", f"--kube-version={KUBERNETES}"]
        helm("lint", "--strict", "--quiet", str(CHART), *flags)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m e2e.chart_check", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the golden files")
    if parser.parse_args(arguments).update:
        update()
    try:
        lint()
        found = list(differences())
    except HelmError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for difference in found:
        sys.stderr.write(f"{difference}\n")
    if found:
        sys.stderr.write(
            "\nThe chart renders something else than the golden files. If that is meant: "
            "python -m e2e.chart_check --update\n"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
