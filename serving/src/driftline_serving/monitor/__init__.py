"""The monitor: sees every inference beside the model server, and keeps counts of what it saw.

`intake` takes frames and counts, `counting` says by what, `config` is told so by the operator,
`app` answers it, and `run` is the process. Nothing here is on the path of a request, except where
the monitor stands before a server that cannot tell.
"""
