"""Property tests of statistics: the same examples each time, on machines of any speed."""

from hypothesis import settings

settings.register_profile("statistics", deadline=None, derandomize=True)
settings.load_profile("statistics")
