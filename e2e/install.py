"""What the demo and the suite stand on: the chart, an S3 server in the cluster, artifacts in it."""

import fcntl
import hashlib
import json
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from e2e import s3
from e2e.cluster.access import service_url
from e2e.cluster.binaries import helm
from e2e.cluster.errors import ClusterError
from e2e.cluster.images import build_all
from e2e.cluster.layout import default_layout
from e2e.kubectl import Kubectl, KubectlError, Object
from e2e.models import Trained, breast_cancer, train

ROOT = Path(__file__).parent.parent
CHART = ROOT / "charts" / "driftline"
RELEASE = "driftline"
NAMESPACE = "driftline-system"
OPERATOR = "driftline-operator"
POLL_SECONDS = 2
"""Between two looks at a Model's monitors; so tests need not wait for a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An artifact in the S3 server."""

    uri: str
    digest: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """An installed Driftline, and what is there to serve.

    Attributes:
        images: references by short name: operator, serving, router, seaweedfs.
        artifacts: `v1` and `v2`, two real models, and `broken`, which is none.
    """

    kubectl: Kubectl
    images: Mapping[str, str]
    artifacts: Mapping[str, Stored]

    def credentials(self, namespace: str) -> Object:
        """Return the Secret with which a namespace reads the artifacts."""
        return s3.credentials(namespace)

    def upload(self, key: str, content: bytes) -> str:
        """Store an artifact and return its URI."""
        with s3.connected(self.kubectl) as server:
            return server.upload(key, content)

    def post(self, namespace: str, model: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send an inference request through the Model's Service and return the answer."""
        answer: dict[str, Any] = json.loads(self._post(namespace, model, body)[1])
        return answer

    def headers(self, namespace: str, model: str, body: Mapping[str, Any]) -> Message:
        """Return the headers of the answer to an inference request."""
        return self._post(namespace, model, body)[0]

    def _post(self, namespace: str, model: str, body: Mapping[str, Any]) -> tuple[Message, bytes]:
        """Send a request.

        Raises:
            AssertionError: the answer was an error; the message holds it.
        """
        with service_url(self.kubectl, namespace, model, 80) as url:
            request = urllib.request.Request(  # noqa: S310 - a URL of our own cluster
                f"{url}/v2/models/{model}/infer",
                data=json.dumps(body).encode(),
                headers={"content-type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                    return answer.headers, answer.read()
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{model}: {error}: {error.read()!r}") from error


def upload_all(kubectl: Kubectl) -> dict[str, Stored]:
    """Train the models and store them, with a file that is no model.

    Each under its digest: training is not the same to the bit in every process, and another
    worker's models must not take the place of those that this one names.
    """
    data = breast_cancer()
    junk = b"this is not a model"
    broken = Trained(onnx=junk, digest=f"sha256:{hashlib.sha256(junk).hexdigest()}", accuracy=0.0)
    found = {"v1": train(1, data), "v2": train(2, data), "broken": broken}
    with s3.connected(kubectl) as server:
        return {
            name: Stored(
                uri=server.upload(f"breast-cancer/{trained.digest[7:]}/model.onnx", trained.onnx),
                digest=trained.digest,
                content=trained.onnx,
            )
            for name, trained in found.items()
        }


def image_values(images: Mapping[str, str]) -> list[str]:
    """Return the flags that make the chart use these images."""
    flags = []
    for name in ("operator", "serving", "router"):
        repository, _, tag = images[name].rpartition(":")
        registry, _, path = repository.rpartition("/")
        flags += [f"--set=images.{name}.registry={registry}"]
        flags += [f"--set=images.{name}.repository={path}", f"--set=images.{name}.tag={tag}"]
    return flags


def install_chart(kubectl: Kubectl, images: Mapping[str, str], *more: str) -> None:
    """Install or upgrade the chart with the real helm, and wait for the operators.

    Raises:
        ClusterError: helm failed, or no operator got ready; its log holds what the operators said.
    """
    command = [str(helm()), "upgrade", "--install", RELEASE, str(CHART), "-n", NAMESPACE]
    command += ["--create-namespace", "--wait", "--timeout=3m", *image_values(images)]
    command += [f"--set=monitoring.pollSeconds={POLL_SECONDS}", *more]
    command += ["--kubeconfig", str(kubectl.kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(
            f"helm upgrade --install {RELEASE}: {done.stderr.strip()}",
            log=_operators_said(kubectl),
            remedy=f"`kubectl get pods,events -n {NAMESPACE}` tells more; then try again",
        )


def _operators_said(kubectl: Kubectl) -> Path:
    """Write what the operators logged to a file, as far as they came, and return it."""
    path = default_layout().cache / "log" / "operators.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = ("-l", "app.kubernetes.io/name=driftline", "-n", NAMESPACE)
    try:
        path.write_text(kubectl.run("logs", *chosen, "--prefix", "--tail=40"))
    except KubectlError as error:
        path.write_text(str(error))
    return path


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Hold a lock that all processes of this machine share, until the block ends."""
    path = Path(tempfile.gettempdir()) / f"driftline-e2e-{name}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure_installed(kubectl: Kubectl) -> System:
    """Install whatever is not there yet; several test workers may ask for it at once."""
    with one_at_a_time("install"):
        images = build_all()
        install_chart(kubectl, images)
        s3.deploy(kubectl, images["seaweedfs"])
        return System(kubectl=kubectl, images=images, artifacts=upload_all(kubectl))
