"""What can go wrong here.

StatsError
├── StateError   a stored state cannot be read, or does not belong to this test
└── BatchError   a batch contradicts itself or the test: negative counts, more events than units
"""


class StatsError(ValueError):
    """The message says what is wrong, where, and what was expected."""


class StateError(StatsError):
    """A stored state cannot be read, or two states are not of the same test."""


class BatchError(StatsError):
    """A batch contradicts itself, or the test that it is given to."""
