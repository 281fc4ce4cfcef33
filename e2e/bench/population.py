"""The Models that are reconciled in bulk: all alike, all with a digest, in some namespaces."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from driftline_api import API_VERSION
from e2e.bench.api import Client, Object

NAMESPACES = 20
#: The operator's own, with its Lease.
SYSTEM = "driftline-system"


def namespaces(count: int = NAMESPACES) -> list[str]:
    """Return their names."""
    return [f"bench-{number:02d}" for number in range(count)]


def model(number: int, spaces: Sequence[str]) -> Object:
    """Return the manifest of one Model; neighbours in number are in different namespaces."""
    name = f"m-{number:05d}"
    return {
        "apiVersion": API_VERSION,
        "kind": "Model",
        "metadata": {"name": name, "namespace": spaces[number % len(spaces)]},
        "spec": {"artifact": {"uri": f"s3://models/{name}/model.onnx", "digest": digest(name)}},
    }


def digest(text: str) -> str:
    """Return a digest that is different for each text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def custom_resources(directory: Path) -> list[dict[str, Any]]:
    """Read the CRDs of the checkout.

    Raises:
        FileNotFoundError: there is none.
    """
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise FileNotFoundError(f"no CRD in {directory}; `make crds` writes them")
    return [yaml.safe_load(file.read_text()) for file in files]


async def populate(client: Client, crds: Path, models: int) -> None:
    """Create CRDs, namespaces and Models, and return when all are there."""
    for crd in custom_resources(crds):
        await client.create(crd)
    await _established(client)
    for name in (SYSTEM, *namespaces()):
        await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    spaces = namespaces()
    room = asyncio.Semaphore(16)

    async def create(number: int) -> None:
        async with room:
            await client.create(model(number, spaces))

    await asyncio.gather(*map(create, range(models)))


async def _established(client: Client) -> None:
    """Wait until the API server answers for Models."""
    async with asyncio.timeout(30):
        while not await _serves_models(client):  # noqa: ASYNC110 - the API server sends no signal
            await asyncio.sleep(0.2)


async def _serves_models(client: Client) -> bool:
    crds = await client.list("CustomResourceDefinition")
    conditions = [c for crd in crds for c in crd.get("status", {}).get("conditions") or ()]
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
