"""Alerts and dashboard of the chart, as a Prometheus on a cluster evaluates them."""

import copy
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

from e2e.chart_check import render
from e2e.kubectl import Object
from e2e.prometheus.dashboard import queries

#: What the tests switch on.
VALUES: Final = """\
metrics:
  serviceMonitor: {enabled: true}
  podMonitor: {enabled: true}
  prometheusRule: {enabled: true}
  dashboard: {enabled: true}
"""
_MONITORS: Final = ("ServiceMonitor", "PodMonitor")
_BOUND: Final = re.compile(r"\s+(==|>=|<=|>|<)\s+(-?[0-9.]+\s*|max by [^<>]*)$")
_REASON: Final = re.compile(r'reason(=~|=)"[^"]*"')
#: Shorter than any scrape of a running test has gone on.
WINDOW: Final = "30s"


def rendered() -> list[Object]:
    """Return the chart's objects, with all that is for Prometheus and Grafana."""
    return [each for each in yaml.safe_load_all(render(VALUES)) if each]


def monitors(objects: Sequence[Object]) -> list[Object]:
    """Return what says which endpoints are scraped."""
    return [each for each in objects if each["kind"] in _MONITORS]


def groups(objects: Sequence[Object]) -> list[dict[str, Any]]:
    """Return the groups of alerts."""
    (rule,) = [each for each in objects if each["kind"] == "PrometheusRule"]
    found: list[dict[str, Any]] = rule["spec"]["groups"]
    return found


def at_once(given: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the rules such that alerts wait for nothing."""
    changed = copy.deepcopy(list(given))
    for group in changed:
        for rule in group["rules"]:
            rule.pop("for", None)
    return {"groups": changed}


def measured(expression: str) -> str:
    """Return what an alert looks at, without the bound that it must pass.

    >>> measured('max(driftline_queue_depth) > 100')
    'max(driftline_queue_depth)'
    >>> measured('absent(x) or sum(x) < 1')
    'sum(x)'
    """
    without_absent = re.sub(r"^absent\([a-z_]+\) or ", "", expression.strip())
    return _REASON.sub('reason=~".+"', _BOUND.sub("", without_absent))


def asked(objects: Sequence[Object]) -> Iterator[tuple[str, str]]:
    """Yield name and query of each alert, without its bound, and of each picture."""
    for group in groups(objects):
        for rule in group["rules"]:
            yield rule["alert"], measured(rule["expr"])
    (board,) = [each for each in objects if each["metadata"]["name"] == "driftline-dashboard"]
    for title, query in queries(json.loads(board["data"]["driftline.json"])):
        everything = query.replace("$namespace", ".*").replace("$model", ".*")
        yield title, everything.replace("$__rate_interval", WINDOW)
