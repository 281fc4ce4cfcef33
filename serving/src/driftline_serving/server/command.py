"""From arguments and environment to what a worker is to do."""

import argparse
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from driftline_api.names import SIGNATURE_VARIABLE
from driftline_serving.server.example import Listening, welcome
from driftline_serving.server.grpc.settings import GrpcSettings
from driftline_serving.server.http.connection import Limits
from driftline_serving.server.http.transport import HttpSettings
from driftline_serving.server.run import ServeSettings
from driftline_serving.server.service import Bounds, Identity


def settings_of(
    arguments: argparse.Namespace, runs: int, environ: Mapping[str, str]
) -> ServeSettings:
    """Return a worker's settings.

    Args:
        arguments: What `options` read, with the ports that the supervisor has found.
        runs: Of the model, at a time.
        environ: The environment.
    """
    return ServeSettings(
        identity=Identity(
            model=arguments.model_name,
            revision=environ.get("DRIFTLINE_REVISION", ""),
            digest=environ.get("DRIFTLINE_DIGEST", ""),
            pod_ip=pod_ip(environ),
        ),
        model_dir=Path(arguments.model_dir),
        signature=environ.get(SIGNATURE_VARIABLE, ""),
        threads=arguments.threads,
        bounds=Bounds(
            runs=runs,
            waiting=arguments.max_queue,
            seconds=arguments.request_seconds,
            json_bytes=arguments.max_json_bytes,
        ),
        drain_seconds=arguments.drain_seconds,
        http=_http(arguments),
        grpc=_grpc(arguments) if arguments.grpc else None,
        tap=Path(arguments.tap) if arguments.tap else None,
        keys=Path(arguments.keys) if arguments.keys else None,
        greet=partial(_greet, arguments) if getattr(arguments, "example", False) else None,
    )


def _greet(arguments: argparse.Namespace, metadata: Mapping[str, object]) -> None:
    where = Listening(
        host=arguments.host,
        http=arguments.port,
        grpc=arguments.grpc_port if arguments.grpc else None,
        admin=arguments.admin_port,
    )
    sys.stdout.write(welcome(metadata, where))
    sys.stdout.flush()


def _http(arguments: argparse.Namespace) -> HttpSettings:
    return HttpSettings(
        host=arguments.host,
        port=arguments.port,
        shared=True,
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
        shared=True,
        body_bytes=arguments.max_body_bytes,
        connections=arguments.max_connections,
        connection_seconds=arguments.grpc_connection_seconds,
        finish_seconds=arguments.finish_seconds,
    )


def pod_ip(environ: Mapping[str, str]) -> str:
    """POD_IP where the pod is told; else what our host name stands for, as in any pod."""
    if given := environ.get("POD_IP"):
        return given
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"
