"""Times as Kubernetes writes them: RFC 3339, UTC, whole seconds."""

from datetime import UTC, datetime
from typing import Final

#: Earlier than anything that happens.
BEGINNING: Final = datetime.fromtimestamp(0, UTC)


def written(at: datetime) -> str:
    """Return a time as text.

    >>> written(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2026-01-02T03:04:05Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parsed(text: str | None) -> datetime | None:
    """Return the time that a text says, None where it says none.

    >>> parsed("2026-01-02T03:04:05Z") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    True
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
