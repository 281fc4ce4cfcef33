"""`driftline-serving proxy`: from arguments and environment to what the proxy is to do."""

import argparse
import logging
from collections.abc import Mapping

import uvloop

from driftline_serving.errors import ListenError
from driftline_serving.proxy.run import ProxySettings, run
from driftline_serving.server.command import pod_ip
from driftline_serving.server.service import Identity
from driftline_serving.tap.writer import TapSettings

log = logging.getLogger(__name__)


def proxy(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the proxy; returns the exit code."""
    try:
        uvloop.run(run(settings_of(arguments, environ)))
    except ListenError as error:
        log.error("%s", error)  # noqa: TRY400 - the message says all
        return 1
    return 0


def settings_of(arguments: argparse.Namespace, environ: Mapping[str, str]) -> ProxySettings:
    """Return what was asked for."""
    identity = Identity(
        model=arguments.model_name,
        revision=environ.get("DRIFTLINE_REVISION", ""),
        digest=environ.get("DRIFTLINE_DIGEST", ""),
        pod_ip=pod_ip(environ),
    )
    about = {"model": identity.model, "revision": identity.revision, "digest": identity.digest}
    return ProxySettings(
        identity=identity,
        passages=arguments.passages,
        host=arguments.host,
        server_host=arguments.server_host,
        admin_port=arguments.admin_port,
        tap=TapSettings(path=arguments.tap, about=about) if arguments.tap else None,
        connections=arguments.max_connections,
        finish_seconds=arguments.finish_seconds,
    )
