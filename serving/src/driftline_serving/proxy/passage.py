"""Between where clients come and where the server listens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Where clients come, 0 for a free port, and where the server listens."""

    port: int
    server: int
