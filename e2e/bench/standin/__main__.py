"""`python -m e2e.bench.standin --kubeconfig FILE --xds http://127.0.0.1:8081`."""

import argparse
import asyncio
from pathlib import Path

from e2e.bench.api import Client
from e2e.bench.audit import STAND_IN
from e2e.bench.control_plane import ControlPlane
from e2e.bench.standin.kubelet import Kubelet


async def play(plane: ControlPlane, xds: str) -> None:
    """Play until something fails."""
    async with Client(plane, f"{STAND_IN}1") as client:
        await Kubelet(client, xds).run()


def main() -> None:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--xds", required=True)
    args = parser.parse_args()
    asyncio.run(play(ControlPlane.read(args.kubeconfig), args.xds))


if __name__ == "__main__":
    main()
