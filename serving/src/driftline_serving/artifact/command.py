"""`driftline-serving fetch` and `resolve`: from arguments and environment to an artifact."""

import argparse
import asyncio
import logging
from collections.abc import Mapping

from driftline_serving import termination
from driftline_serving.artifact import fetch as artifact
from driftline_serving.artifact.location import parse
from driftline_serving.artifact.transfer import Patience

log = logging.getLogger(__name__)


def fetch(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Bring an artifact to local disk and verify it; returns the exit code."""
    location = parse(arguments.uri)
    source = artifact.source_of(location, environ, arguments.pvc_mount)
    target = artifact.Target(arguments.target, arguments.digest)
    found = asyncio.run(artifact.fetch(source, location, target, _patience(arguments)))
    log.info("%s: %d bytes, %s", location.shown, found.size, found.digest)
    return 0


def resolve(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Find out the digest of an artifact; returns the exit code."""
    location = parse(arguments.uri)
    source = artifact.source_of(location, environ, arguments.pvc_mount)
    found = asyncio.run(artifact.resolve(source, location, _patience(arguments)))
    log.info("%s: %d bytes, %s", location.shown, found.size, found.digest)
    termination.leave_resolved(arguments.termination_log, found.digest, found.size)
    return 0


def _patience(arguments: argparse.Namespace) -> Patience:
    return Patience(timeout=arguments.timeout, stall=arguments.stall_timeout)
