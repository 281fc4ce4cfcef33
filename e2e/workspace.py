"""A namespace for Models, and what a person does in it."""

import base64
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.message import Message
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

from driftline_api import API_VERSION
from driftline_api.names import MODEL
from e2e.install import System
from e2e.kubectl import Kubectl, Object, condition, eventually
from e2e.load import Load, Traffic, running
from e2e.models import Rows
from e2e.s3 import CREDENTIALS

#: How a client names the one input of the models of `e2e.models`.
INPUT = "X"


def infer_body(rows: Rows) -> dict[str, Any]:
    """Return an inference request of the Open Inference Protocol for rows of shape (n, 30)."""
    tensor = {"name": INPUT, "shape": list(rows.shape), "datatype": "FP32", "data": rows.tolist()}
    return {"inputs": [tensor]}


def infer_message(name: str, rows: Rows) -> bytes:
    """Return the same as bytes of a gRPC message, of Triton's making."""
    tensor = {"name": INPUT, "datatype": "FP32", "shape": rows.shape}
    message: bytes = service_pb2.ModelInferRequest(
        model_name=name, inputs=[tensor], raw_input_contents=[rows.tobytes()]
    ).SerializeToString()
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """One namespace on a cluster with Driftline."""

    kubectl: Kubectl
    system: System
    namespace: str

    def create(self) -> None:
        """Create the namespace, under the strictest pod security, with the S3 credentials."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": self.namespace, "labels": labels},
            }
        )
        self.kubectl.apply(self.system.credentials(self.namespace))

    def delete(self, *, wait: bool = True) -> None:
        """Delete the namespace with all that is in it; by default, wait until it is gone."""
        flags = ("--ignore-not-found", f"--wait={str(wait).lower()}")
        self.kubectl.run("delete", "namespace", self.namespace, *flags, timeout=300)

    def model(self, name: str, artifact: str = "v1", **spec: Any) -> Object:
        """Return a Model of one of the system's artifacts; `spec` adds to it or replaces."""
        stored = self.system.artifacts[artifact]
        source = {"uri": stored.uri, "digest": stored.digest, "secretRef": {"name": CREDENTIALS}}
        return {
            "apiVersion": API_VERSION,
            "kind": "Model",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"artifact": source, "resources": SMALL, **spec},
        }

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply manifests in the namespace."""
        self.kubectl.apply(*objects)

    def get(self, name: str, kind: str = "model.driftline.dev") -> Object:
        """Return an object of the namespace, which must be there."""
        found = self.kubectl.get(self.namespace, kind, name)
        assert found is not None, f"{kind} {name} is not there"
        return found

    def wait_ready(self, name: str, within: float = 90) -> Object:
        """Wait as the README tells a user to, then return the Model."""
        target = f"model.driftline.dev/{name}"
        args = ("wait", "--for=condition=Ready", target, f"--timeout={within:g}s")
        self.kubectl.run(*args, "-n", self.namespace, timeout=within + 10)
        return self.get(name)

    def wait_for(
        self, name: str, kind: str, status: str, reason: str | None = None, within: float = 90
    ) -> Object:
        """Wait until a condition of the Model, of its present generation, is so; return it."""

        def reached() -> Object:
            model = self.get(name)
            seen = condition(model, kind)
            if seen.get("observedGeneration") != model["metadata"]["generation"]:
                raise AssertionError(f"generation not seen yet: {seen}")
            if seen["status"] != status or (reason is not None and seen["reason"] != reason):
                raise AssertionError(json.dumps(model["status"].get("conditions")))
            return seen

        return eventually(f"{name}: {kind}={status} {reason or ''}", reached, within=within)

    def wait_promoted(self, name: str, within: float = 120) -> Object:
        """Wait until the Model's present generation serves and nothing is left to do."""
        self.wait_for(name, "RolloutSucceeded", "True", within=within)
        self.wait_for(name, "Reconciling", "False", within=within)
        return self.get(name)

    def wait_event(self, name: str, reason: str, within: float = 30) -> Object:
        """Wait for an Event about the Model with this reason, and return it."""

        def found() -> Object | None:
            for event in self.kubectl.list(self.namespace, "events.v1."):
                about = event["involvedObject"]
                if (about["kind"], about["name"]) == ("Model", name) and event["reason"] == reason:
                    return event
            return None

        event = eventually(f"Event {reason} on {name}", found, within=within)
        assert event is not None
        return event

    def children(self, name: str, kind: str) -> list[Object]:
        """Return the Model's children of a kind."""
        return self.kubectl.list(self.namespace, kind, {MODEL: name})

    def url(self, name: str) -> str:
        """Return the URL of the inference call, as clients in the cluster use it."""
        return f"http://{name}.{self.namespace}.svc/v2/models/{name}/infer"

    def predict(self, name: str, rows: Rows) -> NDArray[np.int64]:
        """Send rows through the Model's Service and return the predicted classes, shape (n,)."""
        answer = self.system.post(self.namespace, name, infer_body(rows))
        output = next(o for o in answer["outputs"] if o["name"] == "label")
        return np.array(output["data"], dtype=np.int64)

    def headers(self, name: str, rows: Rows) -> Message:
        """Return the headers of an answer."""
        return self.system.headers(self.namespace, name, infer_body(rows))

    def load(
        self, name: str, rows: Rows, *, client: str = "load", **how: float
    ) -> AbstractContextManager[Load]:
        """Send rows at a constant rate from a pod until the block ends; see `Traffic`."""
        traffic = Traffic(url=self.url(name), body=infer_body(rows), **how)
        return self._running(traffic, client)

    def grpc_load(
        self, name: str, rows: Rows, *, client: str = "grpc-load", **how: float
    ) -> AbstractContextManager[Load]:
        """Send rows as `load` does, over gRPC."""
        body = base64.b64encode(infer_message(name, rows)).decode()
        url = f"grpc://{name}.{self.namespace}.svc:80"
        return self._running(Traffic(url=url, body=body, **how), client)

    def _running(self, traffic: Traffic, client: str) -> AbstractContextManager[Load]:
        image = self.system.images["serving"]
        return running(self.kubectl, self.namespace, image, traffic, client)


#: Requests that let many models share a small machine.
SMALL = {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}}
