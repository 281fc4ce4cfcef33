"""What is kept comes back, finds room, and never makes anything count twice."""

import base64
import json
import random
import zlib
from dataclasses import replace

import numpy as np
import pytest

from driftline_api.monitor import Summary
from driftline_api.monitoring import Monitoring
from driftline_operator.drift import keeping
from driftline_operator.drift.keeping import (
    MOST_BYTES,
    KeptError,
    drift_ref,
    is_kept_of,
    parse_kept,
    render_kept,
    transition_of,
)
from driftline_operator.drift.model_drift import Heard, ModelDrift, advanced
from driftline_operator.drift.notices import About
from driftline_operator.drift.pods import MonitorPod
from driftline_operator.drift.revision import RevisionDrift, looked, with_plan, with_profile
from driftline_operator.drift.seen import Increment, Seen, taken_in
from driftline_operator.drift.telling import said
from driftline_operator.drift.units import Ledger
from driftline_operator.router.stats import Arm, Outcome
from driftline_operator.router.traffic import RouterInstance
from driftline_stats.drift.build import build
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.rows import Feature, Rows
from tests.drift.builders import NOW, a_cohort, a_profile, a_summary, counted, drift_counts, labels

REF = drift_ref("team", "m")
USUAL = Monitoring()
POD = MonitorPod(uid="pod-1", model="m", revision="m-1", address="10.0.0.1")
OUTCOME = Outcome(
    arm=Arm(model="m", arm="stable", epoch=1),
    served_by="m-1",
    code=200,
    grpc=None,
    flags=frozenset(),
    count=700,
)


def a_state(looks: int = 40, shift: float = 1.0) -> ModelDrift:
    """Return what is known after some looks at one replica, and a router."""
    drift, total = ModelDrift(uid="uid-1"), counted(0)
    for at in range(looks):
        total = total + counted(300, seed=at, shift=shift)
        feedback = labels(a_cohort(5, total.rows, total.rows // 2, 10), accepted=at)
        heard = Heard(
            now=NOW + 60 * at,
            pods=(POD,),
            summaries={"pod-1": a_summary(total.rows, total, feedback=feedback)},
            outcomes=[(RouterInstance(pod_uid="r1"), (OUTCOME,))],
            routers=frozenset({"r1"}),
            profiles={} if at else {"m-1": a_profile()},
            known=frozenset({"m-1"}),
        )
        about = About(namespace="team", model="m", uid="uid-1")
        drift = said(advanced(drift, heard, USUAL).drift, heard, USUAL, about).drift
    return drift


def kept(drift: ModelDrift) -> ModelDrift:
    return parse_kept(render_kept(REF, "m", drift, 3), "uid-1")


def test_what_is_kept_comes_back() -> None:
    drift = a_state()
    back = kept(drift)
    assert (back.seen, back.routers, back.waiting, back.edges) == (
        drift.seen,
        drift.routers,
        drift.waiting,
        drift.edges,
    )
    then, now = drift.revisions["m-1"], back.revisions["m-1"]
    assert (now.ledger, now.looked, now.told) == (then.ledger, then.looked, then.told)
    restored = with_profile(now, "m-1", a_profile(), USUAL)
    assert then.watch
    assert restored.watch
    assert restored.watch.state == then.watch.state


def test_a_watch_waits_for_its_profile_through_any_number_of_restarts() -> None:
    drift = a_state()
    thrice = kept(kept(kept(drift)))
    assert thrice.revisions == kept(drift).revisions


def test_a_watch_of_another_profile_begins_anew() -> None:
    back = kept(a_state()).revisions["m-1"]
    other = with_profile(back, "m-1", a_profile(2_000), USUAL)
    assert other.watch
    assert other.watch.state.drifting.seen.rows == 0


def test_a_baseline_that_was_learned_is_kept_whole() -> None:
    revision = with_plan(RevisionDrift(), a_profile().plan.to_json())
    for seed in range(30):
        counts = counted(500, seed=seed)
        increment = Increment(counts={counts.plan: counts})
        revision = looked(revision, increment, USUAL, NOW + seed)
        drift = ModelDrift(uid="uid-1", revisions={"m-1": revision})
        assert kept(drift).revisions["m-1"] == revision
    assert revision.watch
    assert not revision.watch.plan.trained


def test_another_models_state_is_not_taken_for_ours() -> None:
    manifest = render_kept(REF, "m", ModelDrift(uid="uid-1"), 3)
    assert is_kept_of(manifest, "uid-1")
    assert not is_kept_of(manifest, "uid-2")
    assert transition_of(manifest) == 3
    with pytest.raises(KeptError, match="Model uid-1"):
        parse_kept(manifest, "uid-2")


@pytest.mark.parametrize("blob", [b"", b"no zlib", zlib.compress(b"[]"), zlib.compress(b"{}")])
def test_damaged_state_is_refused_and_not_guessed_at(blob: bytes) -> None:
    manifest = {"binaryData": {"state": base64.b64encode(blob).decode()}}
    with pytest.raises(KeptError):
        parse_kept(manifest, "uid-1")


def test_no_state_of_an_unknown_version_is_read() -> None:
    state = zlib.compress(json.dumps({"version": 2}).encode())
    manifest = {"binaryData": {"state": base64.b64encode(state).decode()}}
    with pytest.raises(KeptError, match="version 2"):
        parse_kept(manifest, "uid-1")


def test_counters_that_find_no_room_cost_rows_and_never_count_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = counted(500)
    seen, _ = taken_in(None, a_summary(500, first), NOW)
    small, _ = taken_in(None, a_summary(1, process="p2"), NOW)
    drift = ModelDrift(uid="uid-1", seen={"pod-1/p1": seen, "pod-2/p2": small})
    whole = len(base64.b64decode(render_kept(REF, "m", drift, 0)["binaryData"]["state"]))
    monkeypatch.setattr(keeping, "MOST_BYTES", whole + len(small.packed))
    back = kept(drift)
    assert back.seen["pod-2/p2"] == small
    later = first + counted(100, seed=1)
    seen, lost = taken_in(back.seen["pod-1/p1"], a_summary(600, later), NOW + 60)
    assert lost == Increment()
    assert isinstance(seen, Seen)
    _, then = taken_in(seen, a_summary(650, later + counted(50, seed=2)), NOW + 120)
    assert then.totals.seen == 50


def test_a_hundred_features_and_a_dozen_replicas_find_room() -> None:
    """With all that a watch keeps, counters of 12 replicas, and labels of 400 hours."""
    number = 100
    features = tuple(Feature(name=f"feature-{at}") for at in range(number))
    rng = np.random.default_rng(1)

    def rows(count: int) -> Rows:
        return Rows(numeric=rng.normal(size=(count, number)).astype(np.float32))

    profile = build(features, rows(5_000))
    kernel = Kernel(profile.plan)
    revision = with_plan(RevisionDrift(), profile.plan.to_json())
    monitoring = Monitoring.model_validate({"baseline": {"rows": 2_000}})
    seen: dict[str, Seen] = {}
    for look in range(30):
        counts = kernel.count(rows(200))
        increment = Increment(counts={counts.plan: counts})
        revision = looked(revision, increment, monitoring, NOW + 60 * look)
    assert revision.watch
    assert not revision.watch.plan.trained
    hours = [
        a_cohort(hour, 10_000, 5_000, random.Random(hour).randrange(500)) for hour in range(400)
    ]
    for replica in range(12):
        counts = kernel.count(rows(20_000))
        summary: Summary = a_summary(
            20_000, process=f"p{replica}", drift=drift_counts(counts), feedback=labels(*hours)
        )
        seen[f"pod-{replica}/p{replica}"], _ = taken_in(None, summary, NOW)
    drift = ModelDrift(
        uid="uid-1", seen=seen, revisions={"m-1": replace(revision, ledger=Ledger(units=5))}
    )
    manifest = render_kept(REF, "m", drift, 0)
    sizes = {k: len(base64.b64decode(v)) for k, v in manifest["binaryData"].items()}
    assert sum(sizes.values()) <= MOST_BYTES
    assert all(sizes.values()), "no counters were left out"
