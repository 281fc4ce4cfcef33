"""All faults in one run, each between two quiet spells, under one constant load.

    python -m e2e.drift.faults.run [--seconds 10] [--rate 100]

prints what clients noticed. What they wait for is compared by ranks: the 99th percentiles of the
windows with a fault, against those of the quiet windows of the same run.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy.stats import mannwhitneyu

from driftline_api.monitor import Totals
from e2e.cluster import debian
from e2e.cluster.layout import default_layout
from e2e.drift.deploy import write_artifact
from e2e.drift.faults.faults import FAULTS, Fault
from e2e.drift.faults.world import POLL_SECONDS, Setting, World, settled, world
from e2e.drift.replay import Account, between, packed
from e2e.drift.scenes import Examples, Scene, loans
from e2e.kubectl import eventually

LEVELS: Final = 10_000
#: Rows in a request.
ROWS: Final = 20
#: The chance of saying that clients wait longer, where they do not.
ALPHA: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What clients noticed in one spell.

    Attributes:
        fault: its name; empty for a quiet one.
    """

    fault: str
    sent: int
    failed: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a run.

    Attributes:
        sent: requests that the client has sent.
        totals: what all monitors together said of them.
        starts: of monitors.
        lost: the most that kills could have taken with them.
    """

    windows: Sequence[Window]
    sent: int
    failed: int
    totals: Totals
    starts: int
    lost: int

    @property
    def unobserved(self) -> int:
        """Return the requests of which no monitor has told."""
        return self.sent - self.totals.seen - self.totals.dropped

    @property
    def p_value(self) -> float:
        """Return how likely waits as long in faults are, were they as in quiet spells."""
        faulty = [each.p99 for each in self.windows if each.fault]
        quiet = [each.p99 for each in self.windows if not each.fault]
        return float(mannwhitneyu(faulty, quiet, alternative="greater").pvalue)


def rows_of(scene: Scene, spells: Sequence[str], each: int) -> Examples:
    """Return what is sent, spell after spell: plain rows, with new levels, or without a feature."""
    plain = scene.live[:each]
    rng = np.random.default_rng(0)
    names = np.array([f"level {number}" for number in range(LEVELS)])
    levels = np.concatenate([names[rng.permutation(LEVELS)] for _ in range(each // LEVELS + 1)])
    strange = plain.levels.astype(names.dtype)
    strange[:, 0] = levels[:each]
    without = plain.numbers.copy()
    without[:, 0] = np.nan
    made = {
        "plain": plain,
        "levels": replace(plain, levels=strange),
        "nothing": replace(plain, numbers=without),
    }
    return Examples(
        numbers=np.concatenate([made[name].numbers for name in spells]),
        levels=np.concatenate([made[name].levels for name in spells]),
        truth=np.concatenate([made[name].truth for name in spells]),
    )


def spells_of(faults: Sequence[Fault]) -> list[Fault | None]:
    """Return the order: quiet, a fault, quiet, a fault, ..., quiet."""
    pairs = itertools.chain.from_iterable((None, fault) for fault in faults)
    return [*pairs, None]


def run(faults: Sequence[Fault], seconds: float, rate: float) -> Outcome:
    """Do all faults, each for so many seconds."""
    scene = loans()
    spells = spells_of(faults)
    each = round(seconds * rate) * ROWS
    kinds = [spell.rows if spell else "plain" for spell in spells]
    rows = rows_of(scene, kinds, each)
    with tempfile.TemporaryDirectory() as where:
        home = Path(where)
        (home / "model").mkdir()
        (home / "scratch").mkdir()
        write_artifact(scene, home / "model")
        (home / "rows.npz").write_bytes(packed(rows))
        setting = Setting(
            model=home / "model",
            scratch=home / "scratch",
            rows=home / "rows.npz",
            last=len(rows),
            rate=rate,
            faketime=faketime(),
        )
        with world(setting) as made:
            return _done(made, spells, seconds, rate)


def faketime() -> Path | None:
    """Return the library that moves a process's clock, out of Debian's package."""
    if not debian.is_there():
        return None
    (found,) = debian.unpacked(default_layout(), "libfaketime").rglob("libfaketimeMT.so.1")
    return found


def _done(made: World, spells: Sequence[Fault | None], seconds: float, rate: float) -> Outcome:
    times = [time.time()]
    for spell in spells:
        if spell:
            with spell.apply(made):
                _until(times[0] + len(times) * seconds)
        else:
            _until(times[0] + len(times) * seconds)
        times.append(time.time())
    sent = eventually("the client ends", lambda: _ended(made), within=20)
    totals = settled(made, lambda: made.replay.account().sent)
    accounts = made.replay.accounts()
    windows = [
        _window(accounts, spell, span)
        for spell, span in zip(spells, itertools.pairwise(times), strict=True)
    ]
    kills = sum(spell.kills for spell in spells if spell)
    return Outcome(
        windows=windows,
        sent=sent.sent,
        failed=sent.failed,
        totals=totals,
        starts=made.monitors.starts,
        lost=round(kills * rate * (POLL_SECONDS + 1)),
    )


def _until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.time()))


def _ended(made: World) -> Account:
    assert not _is_sending(made)
    return made.replay.account()


def _is_sending(made: World) -> bool:
    newest = made.replay.account()
    return time.time() - newest.time < 2.5


def _window(accounts: Sequence[Account], spell: Fault | None, span: tuple[float, float]) -> Window:
    """Return one spell, without the second in which the reports of the one before may end."""
    found = between(accounts, span[0] + 1, min(span[1], accounts[-1].time))
    return Window(
        fault=spell.name if spell else "",
        sent=found.sent,
        failed=found.failed,
        p50=found.quantile_ms(0.5),
        p99=found.quantile_ms(0.99),
    )


def report(outcome: Outcome) -> str:
    """Return the table for people."""
    lines = [f"{'window':24} {'requests':>8} {'failed':>6} {'p50 ms':>7} {'p99 ms':>7}"]
    lines += [
        f"{each.fault or '-':24} {each.sent:>8} {each.failed:>6} {each.p50:>7.2f} {each.p99:>7.2f}"
        for each in outcome.windows
    ]
    totals = outcome.totals
    sums = f"seen {totals.seen} + dropped {totals.dropped} + unobserved {outcome.unobserved}"
    lines += [
        f"{outcome.sent} requests, {outcome.failed} failed; {outcome.starts} monitors in turn",
        f"{sums} (at most {outcome.lost} can be) = {outcome.sent}",
        f"p99 in faults against quiet spells: p = {outcome.p_value:.3f}",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run all faults; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m e2e.drift.faults.run")
    parser.add_argument("--seconds", type=float, default=10, help="of each spell")
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    arguments = parser.parse_args()
    outcome = run(FAULTS, arguments.seconds, arguments.rate)
    print(report(outcome))
    return int(outcome.failed > 0 or outcome.p_value < ALPHA)


if __name__ == "__main__":
    sys.exit(main())
