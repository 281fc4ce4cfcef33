"""The program that writes the message classes.

    python -m driftline_serving.server.grpc.generate [--check]

writes them beside `open_inference.proto`; with `--check` it writes nothing and fails where a file
is not what the compiler of this environment makes. The compiler is imported when it runs.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PROTO: Final = "open_inference.proto"

#: Other libraries bring messages of the same names, and in the pool that all share the second to
#: come is refused: neither Triton's nor KServe's client could be imported beside ours.
_SHARED_POOL: Final = "_descriptor_pool.Default()"
_OWN_POOL: Final = "_descriptor_pool.DescriptorPool()"


def files() -> Mapping[str, str]:
    """Return the text of each generated file by its name."""
    from grpc_tools import protoc  # noqa: PLC0415 - needed by this program alone

    with tempfile.TemporaryDirectory() as made:
        outputs = [f"--python_out={made}", f"--pyi_out={made}"]
        if protoc.main(["protoc", f"--proto_path={HERE}", *outputs, PROTO]):
            raise SystemExit(1)
        texts = {path.name: path.read_text() for path in sorted(Path(made).iterdir())}
    return {name: text.replace(_SHARED_POOL, _OWN_POOL) for name, text in texts.items()}


def differing() -> list[str]:
    """Return the names of the files that are not what they should be."""
    wanted = files()
    return [
        name
        for name, text in wanted.items()
        if not (HERE / name).exists() or (HERE / name).read_text() != text
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m driftline_serving.server.grpc.generate", description=__doc__
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    if not parser.parse_args(arguments).check:
        for name, text in files().items():
            (HERE / name).write_text(text)
        return 0
    differ = differing()
    if differ:
        sys.stderr.write(f"{', '.join(differ)}: not what {PROTO} says; run `make protos`.\n")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
