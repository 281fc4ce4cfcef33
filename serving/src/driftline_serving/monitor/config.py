"""What the operator wants counted, and how it comes about: by a plan, a profile, or a sample."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftline_api.monitor import MonitorConfig
from driftline_api.signature import signature_hash
from driftline_serving.baseline import binding
from driftline_serving.baseline.file import Baseline, baseline_of
from driftline_serving.baseline.place import baseline_for
from driftline_serving.errors import BaselineAwayError, BaselineError
from driftline_serving.monitor.counting import LEARNED, PROFILE, Counting
from driftline_serving.monitor.model import Model
from driftline_serving.watched.extract import Extractor, WatchedError
from driftline_stats.drift.kernel import Kernel
from driftline_stats.drift.plan import Plan
from driftline_stats.errors import StateError
from driftline_stats.watch.narrow import narrowed

#: For which who configures is kept waiting, so that the next summary is by the new configuration.
_PATIENCE: Final = 5.0
_FIRST_RETRY, _LONGEST_RETRY = 5.0, 60.0
#: After which a profile at a URI that was refused is looked at again: somebody may have mended it.
_REFUSED_RETRY: Final = 300.0

log = logging.getLogger(__name__)


class ConfigRefusedError(Exception):
    """A configuration that cannot be counted by; the one before stays. Says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Where a profile lies beside the model, and what opens one that lies elsewhere."""

    model_dir: Path
    environ: Mapping[str, str]


class Configuring:
    """Turns configurations into what is counted.

    Args:
        model: what there is to watch.
        credentials: for the profile.
        use: is given what is counted from now on, and the plan of it, if there is one.

    Attributes:
        digest: of the configuration that holds; empty before the first.
    """

    def __init__(
        self,
        model: Model,
        credentials: Credentials,
        use: Callable[[Counting, Plan | None], None],
    ) -> None:
        self.digest = ""
        self._model = model
        self._credentials = credentials
        self._use = use
        self._counting = Counting(config="")
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def put(self, config: MonitorConfig) -> None:
        """Count by a configuration from now on; the same as before changes nothing.

        What it needs, such as a profile that is fetched, may come later: until then no row is
        counted, and none is of another configuration.

        Raises:
            ConfigRefusedError: its plan is none, or not of this model.
        """
        if config.digest == self.digest:
            return
        plan = _plan_of(config)
        if plan is not None and self._model.known.is_set():
            self._extractor(config, plan)
        await self.stop()
        self.digest = config.digest
        self._count(Counting(config=config.digest), None)
        self._settled.clear()
        self._task = asyncio.create_task(self._begin(config, plan))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._settled.wait()

    async def stop(self) -> None:
        """Give up what is still being prepared."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _count(self, counting: Counting, plan: Plan | None) -> None:
        self._counting = counting
        self._use(counting, plan)
        self._settled.set()

    async def _begin(self, config: MonitorConfig, plan: Plan | None) -> None:
        await self._model.known.wait()
        try:
            if self._model.problem:
                self._count(Counting(config=config.digest, problem=self._model.problem), None)
            elif plan is not None:
                await self._count_by(config, plan, Counting(config=config.digest, source=LEARNED))
            else:
                await self._count_by_profile(config)
        except BaselineError as error:
            log.warning("the baseline is refused: %s", error)
            self._sample(config, str(error))
            if config.monitoring.baseline.uri is not None:
                await self._look_again(config)
        except ConfigRefusedError as error:
            log.warning("the baseline is refused: %s", error)
            self._sample(config, str(error))
        except Exception:
            log.exception("a bug in Driftline: nothing is counted")
            self._sample(config, "a bug in Driftline: see the log of the monitor")

    async def _look_again(self, config: MonitorConfig) -> None:
        """Count by the profile at a URI once it is not refused any more."""
        while True:
            await asyncio.sleep(_REFUSED_RETRY)
            try:
                return await self._count_by_profile(config)
            except (BaselineError, ConfigRefusedError) as error:
                self._tell(config, str(error))

    async def _count_by_profile(self, config: MonitorConfig) -> None:
        found = await self._profile(config)
        if found is None:
            self._sample(config, "")
            return
        gone = self._model.watched.excluded(config.monitoring.exclude)
        try:
            profile = await asyncio.to_thread(narrowed, found.profile, gone)
        except StateError as error:
            raise ConfigRefusedError(str(error)) from error
        baseline = baseline_of(
            profile,
            artifact=found.file.artifact,
            signature=found.file.signature,
            trained=found.file.trained,
        )
        counting = Counting(config=config.digest, source=PROFILE, profile=baseline.file)
        await self._count_by(config, profile.plan, counting)

    async def _profile(self, config: MonitorConfig) -> Baseline | None:
        """Return the profile that belongs to the model, however long it takes to get it."""
        pause = _FIRST_RETRY
        while True:
            try:
                return await baseline_for(
                    config.monitoring.baseline,
                    self._credentials.model_dir,
                    self._credentials.environ,
                    self._owner,
                )
            except BaselineAwayError as error:
                log.warning("the baseline cannot be had yet: %s", error)
                self._tell(config, str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_RETRY)

    def _tell(self, config: MonitorConfig, problem: str) -> None:
        """Say why there is no profile yet; a sample that is kept already is kept on."""
        if self._counting.is_ready:
            self._counting.problem = problem
        else:
            self._count(Counting(config=config.digest, problem=problem), None)

    def _owner(self) -> binding.Model:
        file = self._credentials.model_dir / binding.MODEL_FILE
        told = self._credentials.environ.get("DRIFTLINE_DIGEST", "")
        return binding.Model(
            digest=binding.model_digest(file) if file.is_file() else told,
            signature=signature_hash(self._model.signature),
        )

    async def _count_by(self, config: MonitorConfig, plan: Plan, counting: Counting) -> None:
        counting.extractor = self._extractor(config, plan)
        kernel = await asyncio.to_thread(Kernel, plan)
        counting.count_by(kernel)
        self._count(counting, plan)
        log.info("counting %d features, by the %s plan", len(plan.features), counting.source)

    def _extractor(self, config: MonitorConfig, plan: Plan) -> Extractor:
        try:
            return Extractor(self._model.watched, plan.features, config.monitoring.exclude)
        except WatchedError as error:
            raise ConfigRefusedError(str(error)) from error

    def _sample(self, config: MonitorConfig, problem: str) -> None:
        extractor = Extractor(self._model.watched, exclude=config.monitoring.exclude)
        counting = Counting(config=config.digest, extractor=extractor, problem=problem)
        counting.keep_sample()
        self._count(counting, None)


def _plan_of(config: MonitorConfig) -> Plan | None:
    if config.plan is None:
        return None
    try:
        return Plan.from_json(json.dumps(config.plan))
    except StateError as error:
        raise ConfigRefusedError(f"plan: {error}") from error
