"""How the operator finds the API server: as a pod, or by a KUBECONFIG."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from driftline_api import RELEASE
from driftline_api.names import FIELD_MANAGER


async def connect(environ: Mapping[str, str] = os.environ) -> ApiClient:
    """Return a client for the API server that the environment names.

    `KUBECONFIG` wins over being in a pod, so that a developer can run the operator anywhere.
    The token of a pod is read again every minute: the kubelet renews it.

    Raises:
        ConfigException: neither is there.
    """
    settings = Configuration()
    if path := environ.get("KUBECONFIG"):
        await config.load_kube_config(config_file=path, client_configuration=settings)
    else:
        config.load_incluster_config(client_configuration=settings)
    settings.proxy = settings.proxy or proxy_for(settings.host)
    # Else aiohttp reads .netrc and the environment in a thread, twice for each request.
    settings.client_session_kwargs = {"trust_env": False}
    client = ApiClient(settings)
    client.user_agent = f"{FIELD_MANAGER}/{RELEASE}"
    return client


def proxy_for(url: str) -> str | None:
    """Return the proxy that HTTPS_PROXY and NO_PROXY say a URL is reached by."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)
