"""Drift as others detect it, in environments of their own: what the e-detector stands beside.

Twenty features, of which one changes, and a detector on each, as their users put them together.
No figure here is a claim of ours.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from e2e.simulate.claims import Claim, Outcome

TOPIC: Final = "drift, as others detect it"
FEATURES: Final = 20
BEFORE: Final = 10_000
"""Rows that a detector has seen, or has as its reference, before anything changes."""

MOST: Final = 10_000
"""Rows after which a run ends."""

WINDOW: Final = 1_000
ALPHA: Final = 0.05
ERRORS: Final = (0.10, 0.15)

Rows = npt.NDArray[np.float64]
Law = Callable[[np.random.Generator, int], Rows]
Simulate = Callable[[np.random.Generator], Outcome]


def normal(rng: np.random.Generator, rows: int, *, shift: float = 0.0, sd: float = 1.0) -> Rows:
    """Return independent values of one feature."""
    return rng.normal(shift, sd, rows)


def lognormal(rng: np.random.Generator, rows: int, *, sigma: float) -> Rows:
    """Return independent values with a heavy tail."""
    return rng.lognormal(0.0, sigma, rows)


def autocorrelated(rng: np.random.Generator, rows: int) -> Rows:
    """Return a stationary AR(1) of coefficient .3 and variance 1."""
    memory = 0.3 ** np.arange(40)
    noise = rng.normal(0.0, np.sqrt(1 - 0.3**2), rows + len(memory) - 1)
    return np.convolve(noise, memory, "valid")


class Detector(Protocol):
    """What takes one value at a time."""

    def found(self, value: float) -> bool:
        """Take a value; say whether it raises an alarm."""


class Adwin:
    """river's ADWIN with its defaults."""

    def __init__(self) -> None:
        from river.drift import ADWIN  # noqa: PLC0415 - in an environment of its own

        self._adwin: Any = ADWIN()

    def found(self, value: float) -> bool:
        self._adwin.update(value)
        return bool(self._adwin.drift_detected)


class Ddm:
    """frouros' DDM with its defaults, made anew after each alarm."""

    def __init__(self) -> None:
        self._ddm = self._made()

    @staticmethod
    def _made() -> Any:
        from frouros.detectors.concept_drift import DDM  # noqa: PLC0415 - the same

        return DDM()

    def found(self, value: float) -> bool:
        self._ddm.update(value=value)
        drift = bool(self._ddm.status["drift"])
        if drift:
            self._ddm = self._made()
        return drift


class HddmW(Ddm):
    """frouros' HDDM-W, likewise."""

    @staticmethod
    def _made() -> Any:
        from frouros.detectors.concept_drift import HDDMW  # noqa: PLC0415 - the same

        return HDDMW()


def _all_features(rng: np.random.Generator, law: Law) -> Iterator[tuple[float, ...]]:
    table = np.stack([law(rng, MOST) for _ in range(FEATURES)], axis=1)
    return map(tuple, table.tolist())


def rows_to_false_alarm(rng: np.random.Generator, *, law: Law) -> Outcome:
    """Return the rows until one of twenty ADWINs alarms though nothing changes, at most `MOST`."""
    detectors = [Adwin() for _ in range(FEATURES)]
    for row, values in enumerate(_all_features(rng, law)):
        alarms = [each.found(value) for each, value in zip(detectors, values, strict=True)]
        if any(alarms):
            return float(row + 1)
    return float(MOST)


def false_alarm(rng: np.random.Generator, *, law: Law) -> Outcome:
    """Return whether one of twenty ADWINs alarms within `MOST` rows."""
    return rows_to_false_alarm(rng, law=law) != float(MOST)


def delay(rng: np.random.Generator, *, make: Callable[[], Detector], changed: Law) -> Outcome:
    """Return the rows after a change until the detector of the feature that changed alarms."""
    detector = make()
    for value in normal(rng, BEFORE).tolist():
        detector.found(value)
    return _rows_to_alarm(detector, changed(rng, MOST))


def found(rng: np.random.Generator, *, make: Callable[[], Detector], changed: Law) -> Outcome:
    """Return whether the change is found within `MOST` rows."""
    return delay(rng, make=make, changed=changed) is not None


def blinded(rng: np.random.Generator) -> Outcome:
    """Return whether ADWIN finds a shift of 1 sd after one NaN."""
    detector = Adwin()
    for value in [*normal(rng, WINDOW).tolist(), float("nan")]:
        detector.found(value)
    return _rows_to_alarm(detector, normal(rng, MOST, shift=1.0)) is not None


def label_delay(rng: np.random.Generator, *, make: Callable[[], Detector]) -> Outcome:
    """Return the rows from error .10 to .15 until an alarm."""
    detector = make()
    for value in _errors(rng, BEFORE, ERRORS[0]).tolist():
        detector.found(value)
    return _rows_to_alarm(detector, _errors(rng, MOST, ERRORS[1]))


def label_false_alarm(rng: np.random.Generator, *, make: Callable[[], Detector]) -> Outcome:
    """Return whether an error that stays at .10 raises an alarm within `MOST` rows."""
    return _rows_to_alarm(make(), _errors(rng, MOST, ERRORS[0])) is not None


def _errors(rng: np.random.Generator, rows: int, rate: float) -> Rows:
    return (rng.random(rows) < rate).astype(float)


def _rows_to_alarm(detector: Detector, values: Rows) -> float | None:
    found = (row for row, value in enumerate(values.tolist()) if detector.found(value))
    first = next(found, None)
    return None if first is None else float(first + 1)


def windows_to_false_alarm(rng: np.random.Generator, *, law: Law) -> Outcome:
    """Return the rows until KS alarms for one of twenty features, in windows, at most `MOST`."""
    references = [law(rng, BEFORE) for _ in range(FEATURES)]
    for end in range(WINDOW, MOST + 1, WINDOW):
        if any(_ks_rejects(each, law(rng, WINDOW)) for each in references):
            return float(end)
    return float(MOST)


def false_window(rng: np.random.Generator, *, law: Law) -> Outcome:
    """Return whether KS alarms for one of twenty features within `MOST` rows."""
    return windows_to_false_alarm(rng, law=law) != float(MOST)


def window_delay(rng: np.random.Generator, *, changed: Law) -> Outcome:
    """Return the rows after a change, somewhere in a window, until KS alarms for the feature."""
    reference = normal(rng, BEFORE)
    before = int(rng.integers(0, WINDOW))
    for end in range(WINDOW, MOST + 1, WINDOW):
        old = before if end == WINDOW else 0
        live = np.concatenate([normal(rng, old), changed(rng, WINDOW - old)])
        if _ks_rejects(reference, live):
            return float(end - before)
    return None


def _ks_rejects(reference: Rows, live: Rows) -> bool:
    from scipy.stats import ks_2samp  # noqa: PLC0415 - not in each environment

    found = ks_2samp(reference, live, method="asymp").pvalue < ALPHA / FEATURES
    return bool(found)


CHANGES: Final[dict[str, Law]] = {
    "mean +0.25 sd": partial(normal, shift=0.25),
    "mean +0.5 sd": partial(normal, shift=0.5),
    "mean +1 sd": partial(normal, shift=1.0),
    "sd x1.5": partial(normal, sd=1.5),
}
BY_ADWIN: Final = {"mean +0.25 sd": 339.0, "mean +0.5 sd": 118.0, "mean +1 sd": 51.0}
"""Measured before; it misses most changes of the spread, which therefore have no delay."""

IN_TIME: Final = f"within {MOST:,} rows"


def _share(name: str, simulate: Simulate, runs: int, stated: float | None = None) -> Claim:
    return Claim(
        topic=TOPIC,
        what=name,
        stated=stated,
        unit="of runs",
        simulate=simulate,
        runs=runs,
        kind="shown",
    )


def _rows(name: str, simulate: Simulate, runs: int, stated: float | None = None) -> Claim:
    return replace(_share(name, simulate, runs, stated), unit="rows")


def _adwin() -> tuple[Claim, ...]:
    claims = (
        _share(f"false alarms {IN_TIME}, normal", partial(false_alarm, law=normal), 50, 0.07),
        *(
            _rows(
                f"rows to a false alarm, lognormal of sigma {sigma:g}",
                partial(rows_to_false_alarm, law=partial(lognormal, sigma=sigma)),
                60,
            )
            for sigma in (1.0, 2.0)
        ),
        _rows(
            "rows to a false alarm, AR(1) .3",
            partial(rows_to_false_alarm, law=autocorrelated),
            60,
            1_266,
        ),
        *(
            _rows(f"rows to {what}", partial(delay, make=Adwin, changed=CHANGES[what]), 100, stated)
            for what, stated in BY_ADWIN.items()
        ),
        _share(
            f"sd x1.5 found {IN_TIME}",
            partial(found, make=Adwin, changed=CHANGES["sd x1.5"]),
            100,
            0.35,
        ),
        _share(f"mean +1 sd found {IN_TIME} after one NaN", blinded, 20, 0.0),
    )
    return _of("river ADWIN", claims, "simulate-river")


def _ks() -> tuple[Claim, ...]:
    false = partial(false_window, law=normal)
    claims = (
        _share(f"false alarms {IN_TIME}, normal", false, 100),
        _share(f"false alarms {IN_TIME}, AR(1) .3", partial(false_window, law=autocorrelated), 100),
        *(
            _rows(f"rows to {what}", partial(window_delay, changed=changed), 100)
            for what, changed in CHANGES.items()
        ),
    )
    return _of("scipy KS, windows of 1,000", claims)


def _labels(name: str, make: type[Ddm]) -> tuple[Claim, ...]:
    claims = (
        _share(f"false alarms {IN_TIME}, error .10", partial(label_false_alarm, make=make), 100),
        replace(
            _rows("rows to error .15", partial(label_delay, make=make), 100), kind="shown_delay"
        ),
    )
    return _of(f"frouros {name}", claims, "simulate-frouros")


def _of(name: str, claims: tuple[Claim, ...], environment: str = "") -> tuple[Claim, ...]:
    return tuple(
        replace(claim, what=f"{name}: {claim.what}", environment=environment) for claim in claims
    )


CLAIMS: Final = (*_adwin(), *_ks(), *_labels("DDM", Ddm), *_labels("HDDM-W", HddmW))
