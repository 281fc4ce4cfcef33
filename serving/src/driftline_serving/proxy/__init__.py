"""Passes requests on to a server that cannot tap, and tells the monitor of them in its place.

`relay` moves bytes, `http1` and `http2` read along, `calls` keeps what was said, `reading` makes
tensors of it, `telling` hands them to the tap. What cannot be read along is passed on all the same.
"""
