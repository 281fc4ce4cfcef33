"""What the API server adds to objects and what it refuses, as far as tests lean on it."""

import json
from typing import Any

from driftline_operator.core.plan import Manifest
from tests.contract.fields import Path

_IMMUTABLE: dict[str, tuple[Path, ...]] = {
    "ControllerRevision": (("data",),),
    "Deployment": (("spec", "selector"),),
    "Job": (("spec", "template"),),
}


def immutable_fields(kind: str) -> tuple[Path, ...]:
    """Return the fields of a kind that no write may change."""
    return _IMMUTABLE.get(kind, ())


def defaulted(manifest: Manifest) -> dict[str, Any]:
    """Return the object with defaults filled in and quantities in their canonical form."""
    made: dict[str, Any] = json.loads(json.dumps(manifest))
    spec = made.get("spec")
    if made["kind"] == "Deployment" and spec is not None:
        spec.setdefault("replicas", 1)
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)
    if made["kind"] in {"Deployment", "Job"} and spec is not None:
        for container in spec.get("template", {}).get("spec", {}).get("containers", ()):
            container.setdefault("terminationMessagePath", "/dev/termination-log")
            for amounts in container.get("resources", {}).values():
                amounts.update({key: _canonical(str(value)) for key, value in amounts.items()})
    if made["kind"] == "Service" and spec is not None:
        spec.setdefault("type", "ClusterIP")
        for port in spec.get("ports", ()):
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port.get("port"))
    return made


def problems(manifest: Manifest) -> list[str]:
    """Return what makes an object invalid."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "Deployment":
        wanted = spec.get("selector", {}).get("matchLabels", {}).items()
        given = spec.get("template", {}).get("metadata", {}).get("labels", {}).items()
        return [] if wanted <= given else ["spec.template.metadata.labels: selector does not match"]
    if manifest["kind"] == "Service":
        bad = [p for p in spec.get("ports", ()) if not 0 < p.get("port", 0) < 65536]
        return [f"spec.ports[].port: {port.get('port')}" for port in bad]
    return []


def _canonical(quantity: str) -> str:
    """Write thousandths as units and 1024 of a binary unit as the next, where that is exact."""
    if quantity.endswith("m") and int(quantity[:-1]) % 1000 == 0:
        return str(int(quantity[:-1]) // 1000)
    if quantity.endswith("Mi") and int(quantity[:-2]) % 1024 == 0:
        return f"{int(quantity[:-2]) // 1024}Gi"
    return quantity
