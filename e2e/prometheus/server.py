"""Prometheus and promtool as processes on this machine."""

import contextlib
import json
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.debian import unpacked
from e2e.cluster.layout import default_layout
from e2e.kubectl import eventually
from e2e.prometheus.targets import Job

PACKAGE = "prometheus"
RULES = "rules.yaml"


def program(name: str) -> Path:
    """Return `prometheus` or `promtool`.

    Raises:
        ClusterError: the package is not to be had.
    """
    return unpacked(default_layout(), PACKAGE) / "usr" / "bin" / name


def promtool(*arguments: str) -> str:
    """Return what promtool printed.

    Raises:
        AssertionError: it found something wrong; the message says what.
    """
    command = [str(program("promtool")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"promtool {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One series of the answer to a query.

    Attributes:
        labels: of the series.
        value: at the moment of the query.
    """

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """A running Prometheus.

    Attributes:
        url: where it answers.
        directory: where it reads configuration and writes data.
    """

    url: str
    directory: Path

    def query(self, expression: str) -> list[Sample]:
        """Return what an expression gives now.

        Raises:
            AssertionError: Prometheus does not understand it.
        """
        found = self._get("query", query=expression)["result"]
        return [Sample(labels=each["metric"], value=float(each["value"][1])) for each in found]

    def alerts(self) -> list[Mapping[str, str]]:
        """Return the labels of the alerts that fire."""
        found = self._get("alerts")["alerts"]
        return [each["labels"] for each in found if each["state"] == "firing"]

    def watch(self, jobs: Sequence[Job]) -> None:
        """Scrape these from now on."""
        for job in jobs:
            target = self.directory / f"{job.name}.json"
            fresh = target.with_suffix(".new")
            fresh.write_text(json.dumps([each.for_file() for each in job.targets]))
            fresh.replace(target)

    def _get(self, what: str, **asked: str) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of our own
                found: dict[str, Any] = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{asked}: {error.read().decode()}") from error
        except OSError as error:
            raise AssertionError(f"Prometheus does not answer: {error}") from error
        return found


def configuration(jobs: Sequence[Job], every: str) -> dict[str, Any]:
    """Return the configuration that scrapes jobs, whose targets stand in files."""
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [RULES],
        "scrape_configs": [
            {
                "job_name": job.name,
                "metrics_path": job.path,
                "params": {name: list(values) for name, values in job.params.items()},
                "honor_labels": job.honor_labels,
                "file_sd_configs": [{"files": [f"{job.name}.json"], "refresh_interval": "5s"}],
            }
            for job in jobs
        ],
    }


@contextlib.contextmanager
def running(
    directory: Path, jobs: Sequence[Job], rules: Mapping[str, Any], every: str = "1s"
) -> Iterator[Prometheus]:
    """Run a Prometheus until the block ends; it answers when the block is entered.

    Args:
        directory: for its files, empty.
        jobs: what it scrapes.
        rules: what it evaluates: the `spec` of a PrometheusRule.
        every: the interval of both.
    """
    (directory / RULES).write_text(yaml.safe_dump(dict(rules)))
    config = directory / "prometheus.yaml"
    config.write_text(yaml.safe_dump(configuration(jobs, every)))
    promtool("check", "config", str(config))
    port = _free_port()
    server = Prometheus(url=f"http://127.0.0.1:{port}", directory=directory)
    server.watch(jobs)
    command = [str(program("prometheus")), f"--config.file={config}"]
    command += [
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=directory)
        try:
            eventually("Prometheus answers", lambda: server.query("vector(1)"), within=60)
            yield server
        finally:
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
