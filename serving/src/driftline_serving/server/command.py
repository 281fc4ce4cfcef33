"""`driftline-serving serve`: from arguments and environment to a running server."""

import argparse
import logging
import os
import socket
from collections.abc import Mapping

import uvloop

from driftline_api.names import SIGNATURE_VARIABLE
from driftline_serving.server.cpu import usable_cpus
from driftline_serving.server.grpc.settings import GrpcSettings
from driftline_serving.server.http.connection import Limits
from driftline_serving.server.http.transport import HttpSettings
from driftline_serving.server.run import ServeSettings, serve
from driftline_serving.server.service import Bounds, Identity


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
        signature=environ.get(SIGNATURE_VARIABLE, ""),
        threads=arguments.threads,
        bounds=Bounds(
            runs=max(1, (arguments.cpus or usable_cpus()) // arguments.threads),
            waiting=arguments.max_queue,
            seconds=arguments.request_seconds,
            json_bytes=arguments.max_json_bytes,
        ),
        drain_seconds=arguments.drain_seconds,
        http=_http(arguments),
        grpc=_grpc(arguments) if arguments.grpc else None,
        tap=arguments.tap,
        termination_log=arguments.termination_log,
        keys=arguments.keys,
    )
    return uvloop.run(_serve(settings))


async def _serve(settings: ServeSettings) -> int:
    """Serve, then leave without waiting for threads: nobody is there for what they compute."""
    code = await serve(settings)
    logging.shutdown()
    os._exit(code)


def _http(arguments: argparse.Namespace) -> HttpSettings:
    return HttpSettings(
        host=arguments.host,
        port=arguments.port,
        connections=arguments.max_connections,
        limits=Limits(
            body_bytes=arguments.max_body_bytes,
            header_seconds=arguments.header_seconds,
            body_seconds=arguments.body_seconds,
        ),
        finish_seconds=arguments.finish_seconds,
    )


def _grpc(arguments: argparse.Namespace) -> GrpcSettings:
    return GrpcSettings(
        host=arguments.host,
        port=arguments.grpc_port,
        body_bytes=arguments.max_body_bytes,
        connections=arguments.max_connections,
        connection_seconds=arguments.grpc_connection_seconds,
        finish_seconds=arguments.finish_seconds,
    )


def _pod_ip(environ: Mapping[str, str]) -> str:
    """POD_IP where the pod is told; else what our host name stands for, as in any pod."""
    if given := environ.get("POD_IP"):
        return given
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"
