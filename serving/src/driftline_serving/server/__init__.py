"""The model server.

Three things that know little of each other: an `Engine` runs a model on arrays, the codec turns
bodies of the Open Inference Protocol into arrays and back, and a transport moves bodies. Between
them stands `InferenceService`, which every transport calls.
"""

import os

#: Set before ONNX Runtime is loaded, which else keeps an id of the machine and a store of events
#: that it sends to its maker. Nothing leaves a cluster by itself.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
