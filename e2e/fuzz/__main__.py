"""`python -m e2e.fuzz`: fuzz the border of the model server for a while.

What broke an oracle is kept under build/fuzz/, to be played again with `--again FILE`.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from e2e.cluster.errors import ClusterError
from e2e.cluster.progress import fail, say
from e2e.environment import python_with, source_path
from e2e.fuzz.oracles import ORACLES
from e2e.fuzz.seeds import HTTP_WORDS, WORDS, corpus

CHECKOUT = Path(__file__).resolve().parents[2]
HOME = CHECKOUT / "build" / "fuzz"
AT_ONCE = 2
LONGEST_INPUT = 4096
"""Bytes."""
LONGEST_SECONDS = 10
"""For one input: what takes longer hangs."""
MOST_MEGABYTES = 1024
"""Of memory, what the fuzzer itself keeps included: who takes more grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How fuzzing a target ended."""

    target: str
    log: Path
    code: int

    @property
    def figures(self) -> str:
        """What libFuzzer counted."""
        text = self.log.read_text(errors="replace")
        runs = re.findall(r"^Done (\d+) runs in (\d+) second", text, re.MULTILINE)
        last = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)\S* .*rss: (\d+)Mb", text)
        if not (runs and last):
            return f"broken; log: {self.log}"
        (count, seconds), (covered, _, kept, megabytes) = runs[-1], last[-1]
        return (
            f"{int(count):,} inputs in {seconds} s, {covered} branches, {kept} inputs kept, "
            f"{megabytes} MB"
        )


def main() -> int:
    """Fuzz; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m e2e.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target (%(default)s)")
    parser.add_argument("--target", choices=ORACLES, action="append", help="default: all")
    parser.add_argument("--again", type=Path, help="play one input, of the one target")
    arguments = parser.parse_args()
    targets = arguments.target or list(ORACLES)
    if arguments.again:
        ORACLES[targets[0]](arguments.again.read_bytes())
        return 0
    try:
        python = python_with("fuzz")
    except ClusterError as error:
        fail(error)
        return 1
    begin_with(corpus())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(lambda name: fuzz(python, name, arguments.seconds), targets))
    for outcome in outcomes:
        say(f"{outcome.target}: {outcome.figures}")
    return 1 if any(outcome.code for outcome in outcomes) else 0


def begin_with(seeds: dict[str, list[bytes]]) -> None:
    """Write the corpora, beside what earlier runs have found, and the dictionaries."""
    for target, inputs in seeds.items():
        directory = HOME / target
        directory.mkdir(parents=True, exist_ok=True)
        for content in inputs:
            (directory / sha256(content).hexdigest()[:16]).write_bytes(content)
        words = HTTP_WORDS if target == "http" else WORDS
        (HOME / f"{target}.dict").write_text("".join(f'"{escaped(word)}"\n' for word in words))


def escaped(word: str) -> str:
    r"""Return a word as libFuzzer's dictionaries have it.

    >>> escaped('a\r')
    '\\x61\\x0d'
    """
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


def fuzz(python: Path, target: str, seconds: int) -> Outcome:
    """Fuzz one target in a process of its own."""
    log = HOME / f"{target}.log"
    options = [
        f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", f"-timeout={LONGEST_SECONDS}",
        f"-rss_limit_mb={MOST_MEGABYTES}", f"-dict={HOME / target}.dict", "-print_final_stats=1",
        f"-artifact_prefix={HOME / target}-", str(HOME / target),
    ]  # fmt: skip
    argv: Sequence[str] = [str(python), "-m", "e2e.fuzz.target", target, *options]
    with log.open("wb") as out:
        code = subprocess.run(
            argv, stdout=out, stderr=subprocess.STDOUT, cwd=CHECKOUT,
            env={"PYTHONPATH": source_path(), "PATH": "/usr/bin:/bin"}, check=False,
        ).returncode  # fmt: skip
    return Outcome(target=target, log=log, code=code)


if __name__ == "__main__":
    sys.exit(main())
