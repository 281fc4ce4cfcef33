"""Whatever happens to the monitors of a Model, its clients notice nothing, and counts add up."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import pytest
from scipy.stats import mannwhitneyu

from e2e.cluster.containers import Container, container
from e2e.cluster.current import current, wish_from
from e2e.cluster.layout import default_layout
from e2e.drift.deploy import model, place
from e2e.drift.faults.run import ALPHA, rows_of
from e2e.drift.observed import Observed, observed
from e2e.drift.replay import Account, Between, Replay, Replaying, between, packed, replaying
from e2e.drift.scenes import loans
from e2e.install import POLL_SECONDS
from e2e.kubectl import KubectlError, Object, eventually
from e2e.workspace import Workspace

NAME: Final = "loans"
ROWS, RATE = 20, 25
SECONDS: Final = 5.0
#: What the client sends: plain rows, then each of these for one spell, then plain ones again.
SENT: Final = ("plain", "levels", "plain", "nothing", "plain")
#: Spells of plain rows for the rest, which takes as long as monitors take to start again.
AFTERWARDS: Final = ("plain",) * 40
HOG: Final = "held = []\nwhile True: held.append(b'x' * (1 << 24))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """The monitor of the Model's one pod."""

    space: Workspace

    def pod(self) -> Object:
        (pod,) = [each for each in self.space.children(NAME, "pods") if _is_alive(each)]
        return pod

    def container(self) -> Container:
        """Wait until it runs, and return it."""

        def found() -> Container:
            (status,) = [
                each
                for each in self.pod()["status"]["containerStatuses"]
                if each["name"] == "monitor"
            ]
            assert "running" in status["state"], status["state"]
            return container(status["containerID"])

        return eventually("the monitor runs", found, within=60)

    def run(self, *command: str) -> None:
        """Run a command inside; one that is killed has done what it should."""
        name = self.pod()["metadata"]["name"]
        with contextlib.suppress(KubectlError):
            self.space.kubectl.run(
                "exec", name, "-c", "monitor", "-n", self.space.namespace, "--", *command
            )


def _is_alive(pod: Object) -> bool:
    return "containerStatuses" in pod["status"] and "deletionTimestamp" not in pod["metadata"]


def killed(monitor: Monitor) -> AbstractContextManager[None]:
    monitor.container().send(signal.SIGKILL)
    return contextlib.nullcontext()


def stuck(monitor: Monitor) -> AbstractContextManager[None]:
    return monitor.container().stopped()


def out_of_memory(monitor: Monitor) -> AbstractContextManager[None]:
    monitor.container().is_first_to_go()
    monitor.run("python3", "-c", HOG)
    return contextlib.nullcontext()


def without_socket(monitor: Monitor) -> AbstractContextManager[None]:
    monitor.run("rm", "/run/driftline/tap")
    return contextlib.nullcontext()


FAULTS: Final[Sequence[Callable[[Monitor], AbstractContextManager[None]]]] = (
    without_socket,
    stuck,
    killed,
    out_of_memory,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of it.

    Attributes:
        faulty, quiet: spells with a fault or strange rows, and those between.
        account: the client's last one.
    """

    faulty: Sequence[Between]
    quiet: Sequence[Between]
    account: Account
    restarts: int

    def told(self) -> str:
        rows = [(each, "fault") for each in self.faulty] + [(each, "quiet") for each in self.quiet]
        return "\n".join(
            f"{name}: {each.sent} sent, {each.failed} failed, p99 {each.quantile_ms(0.99):.1f} ms"
            for each, name in rows
        )


@pytest.fixture(scope="module")
def run(workspace: Workspace) -> Iterator[Run]:
    if current(default_layout(), wish_from()).kind is None:
        pytest.skip("containers of a given cluster are not touched from outside")
    placed = place(workspace.system, loans())
    rows = rows_of(placed.scene, (*SENT, *AFTERWARDS), round(SECONDS * RATE) * ROWS)
    source = workspace.system.upload(f"drift/{workspace.namespace}.npz", packed(rows))
    workspace.apply(model(workspace, placed))
    workspace.wait_promoted(NAME)
    monitor = Monitor(space=workspace)
    monitor.container()
    how = Replay(url=workspace.url(NAME), source=source, last=len(rows), rows=ROWS, rate=RATE)
    image = workspace.system.images["serving"]
    with replaying(workspace.kubectl, workspace.namespace, image, how, "replay") as running:
        yield _done(monitor, running)


def _done(monitor: Monitor, running: Replaying) -> Run:
    spells: list[tuple[float, float]] = []
    begun = running.accounts()[0].time - 1

    def spell(seconds: float = SECONDS) -> None:
        start = spells[-1][1] if spells else begun
        time.sleep(max(0.0, start + seconds - time.time()))
        spells.append((start, time.time()))

    for _ in SENT:
        spell()
    for fault in FAULTS:
        with fault(monitor):
            spell()
        monitor.container()
        spell()
    account = eventually(
        "the client reports", lambda: _newer(running, spells[-1][1] + 1), within=30, every=0.5
    )
    assert account is not None
    accounts = running.accounts()
    found = [between(accounts, start, end) for start, end in spells]
    (status,) = [
        each for each in monitor.pod()["status"]["containerStatuses"] if each["name"] == "monitor"
    ]
    return Run(
        faulty=found[1::2], quiet=found[::2], account=account, restarts=status["restartCount"]
    )


def _newer(running: Replaying, moment: float) -> Account | None:
    newest = running.account()
    return newest if newest.time > moment else None


def test_every_request_is_answered(run: Run) -> None:
    assert run.account.failed == 0, f"{run.account.errors}\n{run.told()}"


def test_clients_wait_no_longer_than_in_quiet_spells(run: Run) -> None:
    faulty = [each.quantile_ms(0.99) for each in run.faulty]
    quiet = [each.quantile_ms(0.99) for each in run.quiet]
    assert mannwhitneyu(faulty, quiet, alternative="greater").pvalue >= ALPHA, run.told()


def test_the_monitor_that_died_is_back(run: Run) -> None:
    """Once it was killed. Whom the kernel takes when memory is out is the kernel's affair."""
    assert run.restarts >= 1


def test_counts_reconcile_and_little_is_lost(workspace: Workspace, run: Run) -> None:
    """What the routers counted is what was seen, dropped, or lost with a monitor that died."""
    workspace.kubectl.delete(workspace.namespace, "pod", "replay")
    lines: list[Observed] = []

    def settled() -> Observed | None:
        lines.append(observed(workspace.kubectl, workspace.namespace, NAME))
        still = len(lines) > 3 and lines[-1] == lines[-4]
        return lines[-1] if still and lines[-1].total >= run.account.sent else None

    found = eventually("counts stand still", settled, within=60, every=1.5)
    assert found is not None
    lost = run.restarts * RATE * (POLL_SECONDS + 2)
    assert found.unobserved <= lost, found
    assert found.seen + found.dropped >= run.account.sent - lost, (found, run.account.sent)
