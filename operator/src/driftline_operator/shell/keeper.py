"""Reads and writes what is kept of each Model's drift, as the leader alone may."""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from driftline_operator.core.plan import Manifest, ObjectRef
from driftline_operator.drift.keeping import (
    KeptError,
    drift_ref,
    is_kept_of,
    parse_kept,
    render_kept,
    transition_of,
)
from driftline_operator.drift.model_drift import ModelDrift
from driftline_operator.errors import (
    ConflictError,
    DriftlineError,
    GoneError,
    NotLeaderError,
    RefusedError,
)
from driftline_operator.kube.api import Api

log = logging.getLogger(__name__)

#: Tries of one write: a conflict is settled by reading what is there.
_TRIES: Final = 2


class Writes(Protocol):
    """What every write passes through."""

    def permit(self) -> None:
        """Raise NotLeaderError unless we may write now."""

    def count(self, kind: str, verb: str) -> None:
        """Take note of a write that was carried out."""


class Keeper:
    """Knows of each ConfigMap which state of it was seen last.

    Args:
        api: performs the requests.
        writes: what every write passes through.
        transition: the number of the Lease's transitions, as of now.
    """

    def __init__(self, api: Api, writes: Writes, transition: Callable[[], int]) -> None:
        self._api = api
        self._writes = writes
        self._transition = transition
        self._versions: dict[ObjectRef, str] = {}

    def forget(self, namespace: str, model: str) -> None:
        """Forget a Model."""
        self._versions.pop(drift_ref(namespace, model), None)

    def forget_all(self) -> None:
        """Forget everything: somebody else may have led meanwhile."""
        self._versions.clear()

    async def read(self, namespace: str, model: str, uid: str) -> ModelDrift:
        """Return what is kept of a Model, nothing where that is nothing.

        Raises:
            DriftlineError: nobody knows what is kept; nothing may be counted on such ground.
        """
        ref = drift_ref(namespace, model)
        live = await self._api.get(ref)
        if live is None or not is_kept_of(live, uid):
            return ModelDrift(uid=uid)
        self._versions[ref] = live["metadata"]["resourceVersion"]
        try:
            return parse_kept(live, uid)
        except KeptError as error:
            log.warning("%s cannot be read, and drift is watched anew: %s", ref, error)
            return ModelDrift(uid=uid)

    async def write(self, namespace: str, model: str, drift: ModelDrift) -> bool:
        """Keep a Model's state; tell whether that is done.

        Raises:
            NotLeaderError: somebody else leads, or has led since.
        """
        ref = drift_ref(namespace, model)
        try:
            manifest = render_kept(ref, model, drift, self._transition())
            for _ in range(_TRIES):
                try:
                    await self._write(ref, manifest)
                except (ConflictError, GoneError) as error:
                    if not await self._settle(ref, drift.uid):
                        log.warning("%s is not ours and is left as it is: %s", ref, error)
                        return False
                else:
                    return True
        except NotLeaderError:
            raise
        except RefusedError as error:
            log.warning("%s is refused, a restart will lose what is new: %s", ref, error)
        except (KeptError, DriftlineError) as error:
            log.warning("%s is not written: %s", ref, error)
        return False

    async def _write(self, ref: ObjectRef, manifest: Manifest) -> None:
        self._writes.permit()
        version = self._versions.get(ref)
        if version is None:
            answer, verb = await self._api.create(manifest), "create"
        else:
            meta: dict[str, Any] = {**manifest["metadata"], "resourceVersion": version}
            answer = await self._api.replace({**manifest, "metadata": meta})
            verb = "replace"
        self._versions[ref] = answer["metadata"]["resourceVersion"]
        self._writes.count(ref.kind, verb)

    async def _settle(self, ref: ObjectRef, uid: str) -> bool:
        """Learn what is there after a conflict; tell whether we may write over it.

        Raises:
            NotLeaderError: a later leader wrote it.
        """
        live = await self._api.get(ref)
        if live is None:
            self._versions.pop(ref, None)
            return True
        if not is_kept_of(live, uid):
            return False
        if transition_of(live) > self._transition():
            raise NotLeaderError(f"{ref} was written by a later leader")
        self._versions[ref] = live["metadata"]["resourceVersion"]
        return True
