"""`driftline-serving serve`: from arguments and environment to a running server."""

import argparse
import socket
from collections.abc import Mapping

import uvloop

from driftline_serving.server.cpu import default_threads
from driftline_serving.server.http import HttpSettings
from driftline_serving.server.run import ServeSettings, serve
from driftline_serving.server.service import Identity


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until told to stop; returns the exit code."""
    settings = ServeSettings(
        identity=Identity(
            model=arguments.model_name,
            revision=environ.get("DRIFTLINE_REVISION", ""),
            digest=environ.get("DRIFTLINE_DIGEST", ""),
            pod_ip=_pod_ip(environ),
        ),
        model_dir=arguments.model_dir,
        threads=arguments.threads or default_threads(),
        max_queue=arguments.max_queue,
        drain_seconds=arguments.drain_seconds,
        http=HttpSettings(
            host=arguments.host,
            port=arguments.port,
            max_body_bytes=arguments.max_body_bytes,
            finish_seconds=arguments.finish_seconds,
        ),
        termination_log=arguments.termination_log,
    )
    return uvloop.run(serve(settings))


def _pod_ip(environ: Mapping[str, str]) -> str:
    """POD_IP where the pod is told; else what our host name stands for, as in any pod."""
    if given := environ.get("POD_IP"):
        return given
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"
