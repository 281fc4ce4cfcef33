"""A scene's model as an artifact: model, signature and profile, and the rows that are replayed."""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from driftline_api.names import PROFILE_FILE, SIGNATURE_FILE
from e2e.drift import models
from e2e.drift.replay import Replay, packed
from e2e.drift.scenes import Examples, Scene
from e2e.install import System
from e2e.kubectl import Object
from e2e.s3 import CREDENTIALS
from e2e.workspace import SMALL, Workspace

MODEL_FILE: Final = "model.onnx"
ROWS_FILE: Final = "rows.csv"
CLI: Final = (sys.executable, "-m", "driftline_cli.main")


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What is in the S3 server.

    Attributes:
        uri, digest: of the artifact, a directory.
        rows: where the rows to replay are.
        said: what the command line printed of the profile.
    """

    scene: Scene
    uri: str
    digest: str
    rows: str
    said: str
    onnx: bytes = field(repr=False)


def write_artifact(scene: Scene, directory: Path, *, profile: bool = True) -> tuple[bytes, str]:
    """Write model, signature and profile as a user would; return the model, and what was said.

    Raises:
        RuntimeError: the command line refused.
    """
    onnx = models.train(scene)
    (directory / MODEL_FILE).write_bytes(onnx)
    (directory / SIGNATURE_FILE).write_bytes(models.note(scene))
    return onnx, build_profile(scene, directory) if profile else ""


def build_profile(scene: Scene, directory: Path) -> str:
    """Run `driftline profile build` on the training rows; return what it printed.

    Raises:
        RuntimeError: it refused.
    """
    with tempfile.TemporaryDirectory() as elsewhere:
        data = Path(elsewhere, ROWS_FILE)
        write_csv(scene, scene.trained, data)
        command = [*CLI, "profile", "build", str(data), "--in-order"]
        command += ["--model", str(directory / MODEL_FILE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"driftline profile build: {done.stderr.strip()}")
    return done.stdout


def write_csv(scene: Scene, rows: Examples, target: Path) -> None:
    """Write features of rows as CSV, with their names."""
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(scene.features)
        writer.writerows(_lines(rows))


def _lines(rows: Examples) -> Iterator[list[object]]:
    for numbers, levels in zip(rows.numbers.tolist(), rows.levels.tolist(), strict=True):
        yield ["" if value != value else value for value in numbers] + list(levels)  # noqa: PLR0124 - NaN


def place(system: System, scene: Scene, *, profile: bool = True) -> Placed:
    """Train the scene's model, build its profile, and store both with the rows to replay."""
    with tempfile.TemporaryDirectory() as where:
        directory = Path(where)
        onnx, said = write_artifact(scene, directory, profile=profile)
        files = {each.name: each.read_bytes() for each in directory.iterdir()}
    assert (PROFILE_FILE in files) is profile
    digest = models.digest_of(files)
    home = f"drift/{scene.name}/{digest[7:]}"
    for name, content in files.items():
        system.upload(f"{home}/{name}", content)
    rows = system.upload(f"drift/{scene.name}/rows-{digest[7:]}.npz", packed(scene.live))
    uri = system.upload(f"{home}/{MODEL_FILE}", onnx).removesuffix(MODEL_FILE)
    return Placed(scene=scene, uri=uri, digest=digest, rows=rows, said=said, onnx=onnx)


def model(space: Workspace, placed: Placed, name: str = "", **spec: Any) -> Object:
    """Return the Model of a scene; `spec` adds to it or replaces."""
    scene = placed.scene
    monitoring = {"exclude": list(scene.exclude)} if scene.exclude else {}
    source = {"uri": placed.uri, "digest": placed.digest, "secretRef": {"name": CREDENTIALS}}
    found = space.model(name or scene.name, **{"monitoring": monitoring, **spec})
    found["spec"] |= {"artifact": source, "resources": spec.get("resources", SMALL)}
    return found


def replay(space: Workspace, placed: Placed, name: str = "", **how: Any) -> Replay:
    """Return what replays a scene's live rows against a Model."""
    told = {"last": len(placed.scene.live), **how}
    return Replay(url=space.url(name or placed.scene.name), source=placed.rows, **told)
