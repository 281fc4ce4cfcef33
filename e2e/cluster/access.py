"""How a program on this machine reaches a Service.

On the native node the machine is part of the pods' network, and the Service's own address works;
elsewhere kubectl forwards a port, which ends with its pod: tests that send during a change use a
client inside the cluster.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from e2e.cluster.current import current, wish_from
from e2e.cluster.layout import default_layout

if TYPE_CHECKING:
    from e2e.kubectl import Kubectl


@contextlib.contextmanager
def service_url(kubectl: "Kubectl", namespace: str, service: str, port: int) -> Iterator[str]:
    """Yield the base URL of a Service's port, good until the block ends.

    Raises:
        LookupError: there is no such Service.
    """
    if current(default_layout(), wish_from()).is_direct:
        found = kubectl.get(namespace, "service", service)
        if found is None:
            raise LookupError(f"no Service {namespace}/{service}")
        yield f"http://{found['spec']['clusterIP']}:{port}"
        return
    with kubectl.port_forward(namespace, f"svc/{service}", port) as local:
        yield f"http://127.0.0.1:{local}"
