"""What live rows are compared with: a profile as a file, and whose it is.

`file` reads and writes it, `binding` says whether it is of this model, `place` finds it beside the
model or brings it from a URI, and `narrow` takes features out of it.
"""
