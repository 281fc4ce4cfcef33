"""What the page about counting rows says, from what was measured."""

from e2e.bench.stats.names import ADWIN, ALL, AT_ONCE, BATCHES, FEATURES, KLL, OURS, SEARCHSORTED
from e2e.bench.stats.run import Seen, Told, figures_of, sections, seen_of

RATES = {OURS: 80.0, ALL: 30.0, AT_ONCE: 70.0, KLL: 10.0, SEARCHSORTED: 8.0, ADWIN: 1.0}
SIZE = {
    "categorical": 3,
    "pairs": 190,
    "bins": 100,
    "profile": 400_000,
    "order": 200_000,
    "counts": 30_000,
    "counts_json": 10_000,
    "tables": 13_000_000,
}


def a_run(**rates: float) -> Seen:
    told: Told = {
        "rates": [
            {"features": features, "batch": batch, "who": who, "rates": [rate, rate, rate]}
            for features in FEATURES
            for batch in BATCHES
            for who, rate in {**RATES, **rates}.items()
        ],
        "sizes": [{"features": features, **SIZE} for features in FEATURES],
        "versions": ["river 1"],
    }
    return seen_of(told)


def test_the_bar_is_a_ratio_to_the_best_library() -> None:
    first, *_ = figures_of(a_run())
    assert first.what == f"20 features, 1,024 rows at a time: rows/s / {KLL}"
    assert first.value == 8
    assert not first.missed


def test_a_better_library_makes_a_missed_bar() -> None:
    first, *_ = figures_of(a_run(**{SEARCHSORTED: 20.0}))
    assert first.what.endswith(SEARCHSORTED)
    assert first.missed


def test_profile_and_counts_have_a_bar_and_tables_none() -> None:
    *_, kept, tables = figures_of(a_run())
    assert (kept.value, kept.bar, kept.missed) == (0.43, 1.0, False)
    assert (tables.value, tables.bar) == (13.0, None)


def test_what_is_slower_is_said() -> None:
    assert "Nothing that was measured here." in sections(a_run())
    behind = sections(a_run(**{ALL: 5.0}))
    assert behind.count(f"| {ALL} ") >= 6
    assert "0.5x" in behind
