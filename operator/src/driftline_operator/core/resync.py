"""The watchdog: at intervals, list everything and repair what the watches missed.

A watch can lose events without an error (a proxy that drops a connection, a bug on either side).
What this finds is counted: in good health it finds nothing.
"""

import logging
from collections.abc import Sequence
from typing import Final

from driftline_operator.core.feed import Feed
from driftline_operator.core.kinds import Kind
from driftline_operator.core.store import Listing
from driftline_operator.errors import ExpiredError
from driftline_operator.kube.api import Api, ListQuery

log = logging.getLogger(__name__)

#: Small, because a page of pods is decoded at once and memory that was taken is not given back.
PAGE: Final = 50
#: How often a LIST may start anew because its continue token expired, before it counts as failed.
RESTARTS: Final = 3


class Resync:
    """Lists the watched kinds, page by page, into the Store.

    Args:
        api: performs the requests.
        feed: takes in what is found.
        kinds: what to list, in this order.
        namespaces: where to look; empty for everywhere.
    """

    def __init__(
        self, api: Api, feed: Feed, kinds: Sequence[Kind], namespaces: Sequence[str]
    ) -> None:
        self._api = api
        self._feed = feed
        self._kinds = tuple(kinds)
        self._namespaces = tuple(namespaces) or ("",)

    async def once(self) -> int:
        """List everything once; return how many changes had been missed.

        Raises:
            DriftlineError: the Store is as good as before, but may still be behind.
        """
        missed = 0
        for kind in self._kinds:
            for namespace in self._namespaces:
                query = ListQuery(
                    api_version=kind.api_version,
                    kind=kind.kind,
                    namespace=namespace,
                    labels=kind.labels,
                )
                missed += await self._replace(query)
        return missed

    async def _replace(self, query: ListQuery) -> int:
        for _ in range(RESTARTS):
            listing = self._feed.store.begin_replace(query.kind, query.namespace)
            try:
                return await self._fill(listing, query)
            except ExpiredError:
                log.info("list of %s outlived its token and starts anew", query.kind)
            finally:
                self._feed.store.abandon_replace(listing)
        raise ExpiredError(f"list of {query.kind} expired {RESTARTS} times")

    async def _fill(self, listing: Listing, query: ListQuery) -> int:
        missed, token = 0, ""
        while True:
            page = await self._api.list_page(query, limit=PAGE, continue_token=token)
            missed += self._feed.take_page(listing, page.items)
            token = page.continue_token
            if not token:
                return missed + self._feed.end_replace(listing, page.resource_version)
