"""Which live objects we may write.

An object belongs to a plan when it has the owner that the plan would give it. What has no owner
by design (the router's objects, which many Models share) is known by its label. Anything else is
somebody's, and is never touched unless a person hands it over with `driftline.dev/adopt`.
"""

from driftline_api.names import ADOPT, MANAGED_BY, MANAGER, MODEL, ROUTER
from driftline_operator.core.plan import Manifest, ObjectRef, Refusal


def is_ours(desired: Manifest, live: Manifest) -> bool:
    """Tell whether `live` is what an earlier apply of `desired` made."""
    wanted = owner_uids(desired)
    return wanted <= owner_uids(live) if wanted else is_labelled(live)


def is_adopted(desired: Manifest, live: Manifest) -> bool:
    """Tell whether a person has handed `live` to the owner of `desired`."""
    labels = desired["metadata"].get("labels", {})
    annotations = live["metadata"].get("annotations") or {}
    return bool(annotations.get(ADOPT) == labels.get(MODEL, ROUTER))


def is_labelled(live: Manifest) -> bool:
    """Tell whether an object bears our label, and so is watched."""
    labels = live["metadata"].get("labels") or {}
    return bool(labels.get(MANAGED_BY) == MANAGER)


def is_going(live: Manifest) -> bool:
    """Tell whether an object is being deleted: to write to it would be lost."""
    return "deletionTimestamp" in live["metadata"]


def owner_uids(manifest: Manifest) -> frozenset[str]:
    """Return the uids of an object's owners."""
    return frozenset(owner["uid"] for owner in manifest["metadata"].get("ownerReferences") or ())


def name_conflict(ref: ObjectRef, desired: Manifest) -> Refusal:
    """Return the refusal to touch a foreign object, with the two ways out."""
    heir = desired["metadata"].get("labels", {}).get(MODEL, ROUTER)
    return Refusal(
        ref=ref,
        reason="NameConflict",
        message=(
            f"{ref} exists and was not made by this operator for {heir}: delete or rename it, or "
            f"hand it over with the annotation {ADOPT}: {heir}"
        ),
    )
