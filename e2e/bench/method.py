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
## How it is measured

`make bench-serving` measures anew; `python -m e2e.bench serving --help` says how to run a part of
it. Figures depend on the machine; what counts is the ratio.

Each server runs one worker on one CPU, with the same ONNX file and one thread in ONNX Runtime, the
same version of it for all. wrk sends requests of one row from another CPU, over loopback, as fast
as they are answered, and different rows in turn (64; of images, 4). The servers take turns within
each run, and so a ratio is one of the same minutes; each figure is the median of its runs. A cell
says requests/s, the 99th percentile of latency, and Driftline's requests/s as a multiple of it. A
load lasts longer where a server is so slow that some connections would not get two answers.

**Answers are checked.** Before the load each row is asked alone, then 16 at a time; during it one
every second. All outputs must be those of ONNX Runtime within 1e-4 relative and 1e-5 absolute. Who
gives a wrong answer, or one that is no 2xx, has no figures, and is named.

**Memory** is the proportional set size (`smaps_rollup`) after the first answers, when nothing is
asked; the bar is for the worker, the other rows are of all processes of a server.

### The models

The trees are 200 of depth 4 over 20 columns. The network has 20 x 2560 x 2560 weights, so that one
row takes about a millisecond. The image is a tensor of 1 x 3 x 224 x 224 float32, for a small
convolution: what costs is to carry it.

### The servers

Those of others are as short as their documentation shows them (`e2e/bench/serving/peers`), each in
an environment of its own, from a lock with hashes. None writes a line for each request. All take
the same JSON. Limits of batches, where they are for the user to find, were found by trying with 64
at a time.

**Driftline** runs with its defaults: everything validated, bounded, counted and identified, gRPC
on. **Bare** is without what a cluster adds to each request: the receipt, and the tap with a reader.
**Interpreted** is the first as it runs from a checkout; in the image those of its modules are
compiled that every request passes. **One by one** is the first again, with a model whose first axis
is fixed to 1, so that no requests are joined.

**aiohttp and ONNX Runtime** is the server that most people would write: uvloop, orjson, no
validation, no limits, one request after the other.

**mosec** hands batches of at most 32 to one Python process, and waits 1 ms for them, the least that
it can be told: [its documentation](https://mosecorg.github.io/mosec/) wants that to be less than a
batch takes. orjson stands in for its JSON.

**MLServer** has [adaptive batching](https://docs.seldon.ai/mlserver/user-guide/adaptive-batching)
of at most 32 within 1 ms, and no
[pool of processes](https://docs.seldon.ai/mlserver/user-guide/parallel-inference), which is for
more cores than one.

**KServe** is its Python ModelServer. It computes one by one, since its
[batcher](https://kserve.github.io/website/docs/model-serving/predictive-inference/batcher) is
another process in the pod and does not speak this protocol.

Binary images come by the protocol's binary extension to Driftline and KServe, as bare float32 to
aiohttp and mosec, which is less work than the extension. MLServer takes no binary tensors over
HTTP, and is left out there.
"""


STATS_WORDS = """
`make bench-stats` measures anew; `python -m e2e.bench stats --help` says how to run a part of it.
Figures depend on the machine; what counts is the ratio.

## How it is measured

All contenders run in one process, on one core, with the same rows: float32, half of the features
lognormal and half normal, 1 % of the values missing. They take turns within each run, and a figure
is the median of the runs. The time is that of the processor, so that whatever else the machine does
does not count.

**Driftline** is what the monitor does with the features: a batch goes into the counter, which
counts when it has gathered 1,024 rows; that is part of the figure. It counts 20 intervals, what is
below and above the reference's range, missing and infinite values. **With pairs and distance** it
also counts the tables of terciles of up to 190 pairs of features and the Mahalanobis distance of
each row, which none of the others does. **Counted at once** it gathers nothing: each batch is
counted when it comes.

**datasketches** is Apache DataSketches' vector of KLL sketches, k = 200, its default: quantiles of
each feature within 1.3 % of the rows, mergeable. **numpy searchsorted** sorts the same values into
the same bins, feature after feature. **river ADWIN** is one detector a feature: it does not count,
it detects, and takes one value at a time.
"""


MONITOR_WORDS = """
`make bench-monitor` measures anew; `python -m e2e.bench monitor --help` says how to run less of it.
Figures depend on the machine, so the bars that matter are ratios to what the same machine does in
the same run.

## How it is measured

**The monitor and the payload logger** are told the same inferences: one row of 20 features, a label
and two scores, at a steady rate. What tells them stands in for a model server, so that the model's
own work does not blur the figures: it holds inferences that are over, and tells of them as the
model server does over the tap, or as one HTTP POST of JSON for each, over 16 connections that are
kept. Both ways hold 4,096 inferences and drop the oldest beyond that. Who tells and who is told
have a CPU each. *Saturated* is as many as are taken: only as much is made as there is room for.

The **payload logger** is plain aiohttp: it writes each event to a file as a line, and looks at
nothing. The **monitor** counts by a plan that it proposed after some rows, with pairs and distance,
as in a cluster without a profile; *counted* says of how many inferences it counted the rows, as it
takes no more than a quarter of a CPU for that by default.

*CPU* is that of a second, of one CPU. *µs each* is the CPU that an inference cost who was told; *µs
each, server* is what telling cost, which is measured by making as many and telling nobody. *Both
ends* is their sum. *Memory* is the proportional set size (PSS) after a run.

**The proxy** stands between wrk and our own model server without a tap, with 200 trees: hardly any
other server is as fast, so what is lost here is the most that is lost. Server, proxy and monitor
share one CPU, as in a pod that is given one, and wrk has another. *Requests/s* are those of 64
connections. The **aiohttp reverse proxy** is the plainest one, and tells nobody of anything.
"""
