"""How the figures come about, for the pages that hold them."""

WORDS = """
`make bench-operator` measures anew; `python -m e2e.bench operator --help` lists the cases.
Figures depend on the machine, so the bars that matter are ratios to what the same machine does in
the same run.

## How it is measured

**In bulk.** A real etcd and a real API server run on loopback, without controller manager,
scheduler or kubelet. One process stands in for those and for the routers: it creates the pods of
each Deployment and marks pods and Deployments ready at once, and for each of the two router pods
of a namespace it fetches the configuration from the operator as Envoy does (one request a kind of
resource, the next a quarter to half a second after the answer) and answers `/stats` with the
version it got. Its CPU is not the operator's; its writes are counted apart. Models are spread over
20 namespaces, each with a digest given, one replica and no secret. etcd does not wait for its disk
(`--unsafe-no-fsync`), which hardly matters to ratios and would make every figure one of the disk.

**Writes** are counted in the audit log of the API server, by user agent: every create, update,
patch and delete, whether or not it succeeded or changed anything. Leases are left out.

**Cold start** lasts from the start of the operator's process, with all Models there and none ever
reconciled, until each is Ready and says that nothing is left to do. CPU is that of the operator's
process up to then; writes are counted until all is quiet.

**The bare client** repeats, on a fresh API server right afterwards and with nothing else running,
the same writes for as many Models under other names: the same objects by server-side apply, the
same pods and Events, each status as often as it was written. It is plain aiohttp and decodes only
the answers; 8 and 32 Models at a time are tried and the better rate counts. So *the same / a bare
client's time for all writes* says how much longer the operator, the stand-in and the order in
which things must happen take than the writes alone.

**Restart**: the operator is stopped and started with all Models Ready; every write of the new one
until 45 s without any have passed is one too many, and so is a Deployment whose uid or generation
has changed. **At rest**: what it then writes while nothing happens, in the first run.

**Memory** is the peak of the resident set (`VmHWM`) over all these cases.

**First prediction** is measured on the cluster of the end-to-end suite, with images present: from
the start of `kubectl apply` until the Service answers an inference request, asked for every 0.1 s.
A random forest of 10 MB is read from the S3 server in the cluster.
"""

SERVING_WORDS = """
`make bench-serving` measures anew. Figures depend on the machine; what counts is the ratio.

## How it is measured

Each server runs one worker on one CPU, with the same ONNX file and one thread in ONNX Runtime; wrk
sends the same request of one row from another CPU, over loopback, as fast as it is answered. The
servers take turns, run by run, and each figure is the median of its runs. Before the load, one
answer is checked; during it, an answer that is no 2xx ends the measurement.

**Driftline** runs with its defaults: everything validated, bounded and identified. **aiohttp and
ONNX Runtime** is the server that most people would write: uvloop, orjson, no validation, no limits,
one request after the other (`e2e/bench/serving/plain.py`).

The trees are 200 of depth 4 over 20 columns. The network has 20 x 2048 x 1536 weights, so that one
row takes about a millisecond.
"""
