"""Asks a Model, and says later what was true."""

import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import httpx

from driftline.client.errors import AwayError, ClientError, MisuseError, RefusedError
from driftline.client.ledger import Ledger
from driftline.client.said import AGAIN, Label, Outcome, Reward, Said, Truth, item_of
from driftline.client.values import Answer, Prediction, inputs_of, outputs_of, prediction_of
from driftline_api.names import REQUEST_ID_HEADER

#: Items of one request.
BATCH: Final = 1_000
#: How often an item is sent that nobody could take, and the seconds before the second time, which
#: double from time to time.
ATTEMPTS: Final = 6
FIRST_PAUSE: Final = 0.25
_CONNECT_RETRIES: Final = 2
_SHOWN: Final = 300


class Client:
    """A client of one Model; threads may share it.

    A request that reached no server is sent again; one that may have is not. Feedback is sent
    again as long as nobody could take it, since that counts once whatever happens.

    Args:
        url: of the Model's Service, as in `http://loans.team` from within the cluster.
        model: its name.
        timeout: seconds for one request.
        ledger: keeps predictions under names; without one, `keep` cannot be used.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        timeout: float = 30.0,
        ledger: Ledger | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = f"/v2/models/{model}"
        self._ledger = ledger
        self._pause = pause
        self._datatypes: Mapping[str, str] | None = None
        transport = httpx.HTTPTransport(retries=_CONNECT_RETRIES)
        self._http = httpx.Client(base_url=url, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the ledger stays open."""
        self._http.close()

    def infer(
        self,
        inputs: Mapping[str, Any],
        *,
        outputs: Sequence[str] = (),
        keep: str | None = None,
        request_id: str | None = None,
    ) -> Answer:
        """Ask for a prediction.

        Args:
            inputs: nested lists or arrays, by name; the model says of which datatype they are.
            outputs: those that are wanted; none: all.
            keep: the name to keep the prediction under in the ledger.
            request_id: your own name of this request, which logs have.

        Raises:
            MisuseError: the model has no such inputs, or there is no ledger to keep it in.
            RefusedError: the server says that the request is wrong.
            AwayError: nobody answers.
        """
        if keep is not None and self._ledger is None:
            raise MisuseError("keep needs a ledger: Client(..., ledger=Ledger(file))")
        body: dict[str, Any] = {"inputs": inputs_of(inputs, self._inputs())}
        if outputs:
            body["outputs"] = [{"name": name} for name in outputs]
        headers = {REQUEST_ID_HEADER: request_id} if request_id else {}
        response = self._ask("POST", "/infer", body, headers)
        answer = Answer(
            outputs=outputs_of(response.json()["outputs"]),
            prediction=prediction_of(response.headers),
        )
        if keep is not None and self._ledger is not None:
            self._ledger.keep(keep, answer.prediction)
        return answer

    def label(
        self,
        of: Prediction | str,
        value: Truth | Sequence[Truth],
        *,
        row: int | None = None,
        time: datetime | None = None,
    ) -> Outcome:
        """Say what was true of one prediction; see `Label` and `feedback`."""
        return self.feedback([Label(of, value, row, time)])[0]

    def reward(
        self,
        of: Prediction | str,
        value: float | Sequence[float | None],
        *,
        row: int | None = None,
        time: datetime | None = None,
    ) -> Outcome:
        """Say how good one prediction was; see `Reward` and `feedback`."""
        return self.feedback([Reward(of, value, row, time)])[0]

    def feedback(self, said: Iterable[Said]) -> list[Outcome]:
        """Say what was true of many predictions, and return what became of each, in order.

        What nobody can take is sent again for some seconds; what is `unavailable` after that is
        yours to send again.

        Raises:
            MisuseError: something cannot be sent; nothing was.
            NotKeptError: the ledger has no prediction of a name; nothing was sent.
            RefusedError: the server takes no feedback, as outside of a cluster.
            AwayError: nobody answers; what was sent before counts, and may be sent again.
        """
        items = [item_of(each, self._prediction(each.of)) for each in said]
        found: list[Outcome] = []
        for first in range(0, len(items), BATCH):
            found += self._send(items[first : first + BATCH])
        return found

    def _send(self, items: Sequence[dict[str, Any]]) -> list[Outcome]:
        outcomes = [Outcome(AGAIN)] * len(items)
        for pause in _pauses():
            waiting = [at for at, each in enumerate(outcomes) if each.what == AGAIN]
            if not waiting:
                break
            if pause:
                self._pause(pause)
            told = self._say([items[at] for at in waiting])
            for at, outcome in zip(waiting, told or (), strict=bool(told)):
                outcomes[at] = outcome
        return outcomes

    def _say(self, items: Sequence[dict[str, Any]]) -> list[Outcome] | None:
        """Send items once; None where no monitor can be reached just now."""
        response = self._request("POST", "/feedback", items, {})
        match _json(response):
            case {"items": list(found)} if len(found) == len(items):
                return [Outcome(each["outcome"], each.get("message", "")) for each in found]
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return None
        raise _error(response)

    def _prediction(self, of: Prediction | str) -> Prediction:
        if isinstance(of, Prediction):
            return of
        if self._ledger is None:
            raise MisuseError("a name needs a ledger: Client(..., ledger=Ledger(file))")
        return self._ledger.find(of)

    def _inputs(self) -> Mapping[str, str]:
        """Return the datatypes of the model's inputs, which are asked for once."""
        if self._datatypes is None:
            told = self._ask("GET", "", None, {}).json()
            self._datatypes = {each["name"]: each["datatype"] for each in told["inputs"]}
        return self._datatypes

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        response = self._request(method, path, body, headers)
        if response.is_success:
            return response
        raise _error(response)

    def _request(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> httpx.Response:
        # NaN and infinities are written as the server reads them, which httpx would refuse.
        content = None if body is None else json.dumps(body)
        kind = {"content-type": "application/json"} if content else {}
        try:
            return self._http.request(
                method, self._path + path, content=content, headers=headers | kind
            )
        except httpx.HTTPError as error:
            raise AwayError(f"{method} {path or self._path}: {error}") from error


def _pauses() -> Iterator[float]:
    """Yield the seconds before each attempt: none, then longer and longer, and never in step."""
    yield 0.0
    for attempt in range(ATTEMPTS - 1):
        yield FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - guards nothing


def _error(response: httpx.Response) -> ClientError:
    told = _json(response)
    error = told.get("error") if isinstance(told, dict) else None
    message = str(error or response.text)[:_SHOWN]
    if response.is_client_error:
        return RefusedError(response.status_code, f"{response.status_code}: {message}")
    return AwayError(f"{response.status_code}: {message}")


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None
