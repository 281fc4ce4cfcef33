"""Decisions from labels: which model has the lower risk, and whether a risk has risen."""
