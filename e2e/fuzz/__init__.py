"""Looks for bytes that the model server does not bear."""
