"""Annotations by which the Model's plan recognises what it did before."""

from typing import Final

#: The number of replicas that we asked for, on a Deployment whose `replicas` are ours.
REPLICAS: Final = "driftline.dev/replicas"
#: Hash of what a resolving Job was rendered from beside the artifact.
INPUTS_HASH: Final = "driftline.dev/inputs-hash"
