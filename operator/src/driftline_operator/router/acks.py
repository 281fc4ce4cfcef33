"""What was heard from the routers: written by the poll, read when a Model is gathered."""

from typing import Final

from driftline_operator.router.traffic import Agreed

_NOTHING: Final = Agreed()


class RouterAcks:
    """What all Ready routers of each namespace were heard to say.

    Kept in memory alone. A Model whose traffic was acknowledged has that in its status, so an
    operator that starts anew need not hear from any router before it says that all is well.
    """

    def __init__(self) -> None:
        self._said: dict[str, Agreed] = {}

    def said(self, namespace: str) -> Agreed:
        """Return what they agree on: nothing, where nothing was heard or no router is Ready."""
        return self._said.get(namespace, _NOTHING)

    def note(self, namespace: str, said: Agreed) -> None:
        """Remember what was heard; that they agree on nothing forgets the namespace."""
        if said == _NOTHING:
            self._said.pop(namespace, None)
        else:
            self._said[namespace] = said
