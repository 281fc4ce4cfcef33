"""Bringing an artifact to local disk, and proving it is the right one."""
