"""Figures of Driftline beside what the same machine can do at most, with the bars they must meet.

These are measurements, not tests: nothing here fails because a machine was slow.
"""
