"""What may be found of a Model's data, and whether status says it."""

from datetime import datetime
from random import Random

from driftline_api.conditions import DRIFT_REASONS, DRIFTED, Reason
from driftline_api.drift import BaselineStatus, Observation
from driftline_operator.core.plan import Manifest
from driftline_operator.drift.findings import DriftFindings, RevisionFindings


def findings(revision: str, uid: str, at: datetime, random: Random) -> DriftFindings:
    """Return what a look at the data of a revision may bring."""
    reason = random.choice(sorted(DRIFT_REASONS))
    rows = random.randrange(100_000)
    found = RevisionFindings(
        revision=revision,
        reason=reason,
        summary=f"{rows} rows were looked at",
        action="You: have a look.",
        recommendation="Investigate" if reason in DRIFTED else "Nothing",
        question="Drift",
        since=at,
        rows=rows,
        evidence=random.random(),
        baseline=BaselineStatus.model_validate(
            {"source": random.choice(("Profile", "Learned", "Accepted")), "rows": 10_000}
        ),
        observation=Observation(seen=rows),
    )
    return DriftFindings(uid=uid, at=at, revisions={revision: found})


def untold(model: Manifest, found: DriftFindings | None) -> list[str]:
    """Return what was found and is not said."""
    name, status = model["metadata"]["name"], model.get("status") or {}
    known = found.revisions.get(status.get("stableRevision", "")) if found else None
    if known is None:
        return []
    said = status.get("drift") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    drift_free = conditions.get("DriftFree", {})
    wanted = "False" if known.reason in DRIFTED else "Unknown"
    wanted = "True" if known.reason is Reason.NO_DRIFT else wanted
    return [
        f"{name}: {what}"
        for what, holds in {
            "reason": said.get("reason") == known.reason,
            "condition": drift_free.get("status") == wanted,
            "baseline": (said.get("baseline") or {}).get("source") == known.baseline.source,
        }.items()
        if not holds
    ]
