"""The Open Inference Protocol over gRPC, on grpcio's asyncio server.

Bytes become messages and messages become arrays in `codec` and `contents`, calls become answers in
`methods` and `health`; `transport` listens. What the messages are stands in `open_inference.proto`,
from which `generate` makes `open_inference_pb2`.
"""

import os

#: Set before grpcio is loaded, whose own lines on stderr are no records of ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
