"""What was heard from the routers: written by the poll, read when a Model is gathered."""


class RouterAcks:
    """The newest version that all Ready routers of a namespace were heard to serve.

    Kept in memory alone. A Model whose traffic was acknowledged has that in its status, so an
    operator that starts anew need not hear from any router before it says that all is well.
    """

    def __init__(self) -> None:
        self._served: dict[str, int] = {}

    def served(self, namespace: str) -> int:
        """Return the version, 0 where nothing was heard yet or no router is Ready."""
        return self._served.get(namespace, 0)

    def note(self, namespace: str, version: int) -> None:
        """Remember what was heard; 0 forgets the namespace."""
        if version:
            self._served[namespace] = version
        else:
            self._served.pop(namespace, None)
