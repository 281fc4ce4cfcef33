"""`python -m e2e.bench operator`, `serving`, `stats`, `monitor`: measure, and compare."""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from e2e.bench import report
from e2e.bench.cases import Measured, Tell, Wanted, measure
from e2e.bench.figures import figures_of
from e2e.bench.isolation import isolate
from e2e.bench.method import MONITOR_WORDS, SERVING_WORDS, STATS_WORDS, WORDS
from e2e.bench.monitor import run as monitor
from e2e.bench.report import Figure
from e2e.bench.scene import CHECKOUT
from e2e.bench.serving import run as serving
from e2e.bench.stats import run as stats
from e2e.cluster.binaries import KUBE, build
from e2e.cluster.layout import default_layout

CASES = ("cold", "steady", "restart", "memory", "first-prediction")
STEADY_SECONDS = 600.0
QUICK_STEADY_SECONDS = 60.0
PAGES = CHECKOUT / "docs" / "benchmarks"


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parsed = argparse.ArgumentParser(prog="python -m e2e.bench", description=__doc__)
    benchmarks = parsed.add_subparsers(required=True, dest="benchmark")
    servers = benchmarks.add_parser("serving")
    servers.add_argument("--runs", type=int, default=5, help="of each; medians are reported")
    servers.add_argument("--seconds", type=int, default=3, help="of each load")
    servers.add_argument(
        "--only", type=_words, default=[], metavar="WORD,WORD", help="cases with such a name"
    )
    servers.add_argument(
        "--against", type=_words, default=[], metavar="WORD,WORD", help="servers with such a name"
    )
    servers.add_argument("--write", action="store_true", help="write its page anew")
    counting = benchmarks.add_parser("stats")
    counting.add_argument("--runs", type=int, default=5, help="of each; medians are reported")
    counting.add_argument("--seconds", type=float, default=0.4, help="of each, in each run")
    counting.add_argument("--write", action="store_true", help="write its page anew")
    beside = benchmarks.add_parser("monitor")
    beside.add_argument("--runs", type=int, default=3, help="of each; medians are reported")
    beside.add_argument("--seconds", type=int, default=5, help="of each, in each run")
    beside.add_argument("--write", action="store_true", help="write its page anew")
    operator = benchmarks.add_parser("operator")
    operator.add_argument("--models", type=_numbers, default=[1000, 2000], metavar="N,N")
    operator.add_argument("--cases", type=_cases, default=list(CASES), metavar="CASE,CASE")
    operator.add_argument("--runs", type=int, default=1, help="of each; the median is reported")
    operator.add_argument("--quick", action="store_true", help="a steady state of one minute")
    operator.add_argument("--write", action="store_true", help="write its page anew")
    return parsed


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _words(text: str) -> list[str]:
    return text.split(",")


def _cases(text: str) -> list[str]:
    words = text.split(",")
    unknown = set(words) - set(CASES)
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(CASES)}")
    return words


def main() -> None:
    """Measure what was asked for."""
    args = parser().parse_args()
    page: str = args.benchmark
    if args.benchmark == "serving":
        title = "The model server"
        figures, sections = _serving(args, _teller())
        print(f"\n{sections}")
        words = f"{sections}\n\n{SERVING_WORDS.strip()}"
    elif args.benchmark == "stats":
        title, page = "Counting rows", "statistics"
        figures, sections = stats.measure(args.runs, args.seconds)
        print(f"\n{sections}")
        words = f"{sections}\n\n{STATS_WORDS.strip()}"
    elif args.benchmark == "monitor":
        title = "The monitor"
        figures, sections = monitor.measure(args.runs, args.seconds, _teller())
        print(f"\n{sections}")
        words = f"{sections}\n\n{MONITOR_WORDS.strip()}"
    else:
        title, words = "The operator", WORDS
        figures = operator_figures(args, _teller())
    print(f"\n{report.table(figures)}\n\n{report.summary(figures)}")
    if args.write:
        file = PAGES / f"{page}.md"
        file.write_text(report.page(title, words, figures, CHECKOUT))


def _serving(args: argparse.Namespace, tell: Tell) -> tuple[list[Figure], str]:
    wanted = serving.Wanted(
        runs=args.runs, seconds=args.seconds, cases=args.only, servers=args.against
    )
    if args.write and not wanted.is_all:
        raise SystemExit("a part of the figures makes no page: leave out --write, or the choice")
    return serving.measure(wanted, tell)


def operator_figures(args: argparse.Namespace, tell: Tell) -> list[Figure]:
    """Return the figures of `operator`."""
    figures = []
    if "first-prediction" in args.cases:
        figures += _first_prediction(args, tell)
    if set(args.cases) <= {"first-prediction"}:
        return figures
    kube = build(default_layout(), KUBE)
    if not isolate():
        tell("no network of our own: the operator needs ports 8080 and 8081, which must be free")
    for models in args.models:
        runs = [_run(args, kube, models, tell, first=not n) for n in range(args.runs)]
        figures += figures_of(runs)
    return figures


def _first_prediction(args: argparse.Namespace, tell: Tell) -> list[Figure]:
    # Libraries that train models take seconds to import, and only this case needs them.
    from e2e.bench import prediction  # noqa: PLC0415

    return prediction.figures_of(args.runs, tell)


def _run(args: argparse.Namespace, kube: Path, models: int, tell: Tell, *, first: bool) -> Measured:
    """Restart with the smallest number of Models in each run, and be idle in the first alone."""
    fewest = models == args.models[0]
    steady = QUICK_STEADY_SECONDS if args.quick else STEADY_SECONDS
    wanted = Wanted(
        restart="restart" in args.cases and fewest,
        steady_seconds=steady if "steady" in args.cases and fewest and first else 0.0,
    )
    return asyncio.run(measure(kube, models, wanted, tell))


def _teller() -> Tell:
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    main()
