"""Brings an artifact to local disk, or finds out its digest without keeping it.

A `Source` lists and opens files, a sink takes their bytes, `transfer` gets all bytes across however
often the connection breaks, and `fetch` and `resolve` put these together.
"""
