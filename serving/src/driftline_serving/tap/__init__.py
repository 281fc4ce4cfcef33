"""What the model server has answered, told in batches over a Unix socket to whoever listens there.

`records` says what is told, `encode` and `decode` how it is written (docs/reference/tap.md),
`observer` takes it from the server, `writer` sends it, `reader` receives it, `watch` shows it.
"""
