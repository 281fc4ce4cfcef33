"""What the tap costs, as figures."""

from e2e.bench.serving.load import Load
from e2e.bench.serving.tap import DEAD, LIVE, OFF, OFF_AGAIN, SLOW, STUCK, compared


def loads(*rates: float) -> list[Load]:
    return [Load(per_second=rate, p50=1, p99=1000 / rate) for rate in rates]


def test_noise_is_by_how_much_a_server_differs_from_itself() -> None:
    seen = {
        OFF: loads(100, 100, 100),
        OFF_AGAIN: loads(98, 104, 100),
        LIVE: loads(90, 80, 50),
        DEAD: loads(97, 97, 97),
        STUCK: loads(95, 95, 95),
        SLOW: loads(110, 110, 110),
    }
    found = {figure.what: figure for figure in compared(seen)}
    live, dead = found[f"tap, {LIVE}: requests/s lost"], found[f"tap, {DEAD}: requests/s lost"]
    assert (round(live.value), live.bar, live.missed) == (20, 15, True)
    assert (round(dead.value), round(dead.bar or 0), dead.missed) == (3, 4, False)
    assert found[f"tap, {STUCK}: requests/s lost"].missed
    assert found[f"tap, {STUCK}: p99 / p99 without"].missed
    assert not found[f"tap, {SLOW}: p99 / p99 without"].missed
