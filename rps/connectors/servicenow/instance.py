"""Calls to an instance: who we are, how much may be asked, where its clock stands."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

import orjson

from rps.connectors import advice, meaning
from rps.connectors.servicenow.answers import Good, NotThere, understood
from rps.connectors.servicenow.login import Login
from rps.connectors.servicenow.words import SYS_ID, TABLE, read_row
from rps.connectors.transport import Answer, Request
from rps.domain.delivery import Exchange, NeedsCredentials, Refused, Unavailable
from rps.domain.problem import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rps.connectors.servicenow.answers import Trouble, Understood
    from rps.connectors.servicenow.keeping import Budget
    from rps.connectors.servicenow.settings import Credentials, Settings
    from rps.connectors.streaming import Opened
    from rps.connectors.transport import Said

log = logging.getLogger("rps.servicenow")

RECORD_BYTES = 2 * 1024 * 1024
PAGE_BYTES = 32 * 1024 * 1024
_SENT_AS = {"Accept": "application/json", "Content-Type": "application/json"}

T = TypeVar("T")
Row = dict[str, str]


class Wire(Protocol):
    """What of the transport is needed."""

    def send(self, request: Request) -> Said: ...

    def stream(self, request: Request) -> Said | Opened: ...

    def upload(
        self, request: Request, size: int, pieces: Callable[[], Iterator[bytes]]
    ) -> Said:
        """A request whose body is `size` bytes, as they come."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Records that a query found; `total` is how many it has for the instance, those
    hidden from us included, None where it does not say."""

    rows: list[Row]
    total: int | None


@dataclass(slots=True)
class Instance:
    """One instance. `skew`: how many seconds its clock is ahead of ours."""

    wire: Wire
    settings: Settings
    credentials: Credentials
    budget: Budget
    clock: Callable[[], float]
    skew: float = 0.0
    calls: int = 0
    _login: Login = field(init=False)

    def __post_init__(self) -> None:
        self._login = Login(self._counted, self.settings, self.credentials, self.clock)

    # --- calls ----------------------------------------------------------------------

    def ask(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        response_bytes: int = RECORD_BYTES,
    ) -> Understood:
        """GET."""
        return self._done("GET", path, query, b"", response_bytes, wrote=False)

    def tell(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Understood:
        """POST, PATCH or DELETE: what is not known to have failed is uncertain."""
        data = b"" if body is None else orjson.dumps(dict(body))
        return self._done(method, path, query, data, RECORD_BYTES, wrote=True)

    def _done(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes,
        response_bytes: int,
        *,
        wrote: bool,
    ) -> Understood:
        told = self.request(
            method, path, query, body, wrote=wrote, response_bytes=response_bytes
        )

        def send(header: str) -> Said:
            return self._counted(replace(told, headers=_as(told.headers, header)))

        said = self._as_us(send)
        if isinstance(said, NeedsCredentials | Unavailable):
            return said
        exchange = meaning.exchange_of(body, said)
        return understood(said, exchange, self.clock(), wrote=wrote)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes,
        *,
        wrote: bool,
        response_bytes: int = RECORD_BYTES,
    ) -> Request:
        """As it goes out but for who we are."""
        url = self.url(path, query)
        return Request(method, url, dict(_SENT_AS), body, not wrote, response_bytes)

    def _as_us(self, send: Callable[[str], T]) -> T | NeedsCredentials | Unavailable:
        """`send` with who we are; once more with a new token where the old one is not
        taken any more: a 401 did nothing."""
        if wait := self.budget.take():
            return _spent(self.settings, wait)
        header = self._login.header()
        if not isinstance(header, str):
            return header
        said = send(header)
        if _is_unauthorized(said) and self._login.is_worth_another(header):
            header = self._login.header()
            if not isinstance(header, str):
                return header
            said = send(header)
        return said

    def _counted(self, request: Request) -> Said:
        self.calls += 1
        said = self.wire.send(request)
        if isinstance(said, Answer):
            self._look_at_clock(said)
        return said

    def _look_at_clock(self, said: Answer) -> None:
        ahead = advice.clock_ahead(said.headers, self.clock() - said.seconds / 2)
        if ahead is not None:
            # of whole seconds: what is less than one apart says nothing
            self.skew = ahead + 0.5 if abs(ahead + 0.5) > 1.0 else 0.0

    def stream(self, path: str, headers: dict[str, str]) -> Any:
        """Said or Opened, or what kept it from being asked."""

        def send(header: str) -> Said | Opened:
            self.calls += 1
            sent = {**headers, "Accept": "*/*", "Authorization": header}
            return self.wire.stream(Request("GET", self.url(path), sent))

        return self._as_us(send)

    def upload(
        self,
        path: str,
        query: Mapping[str, str],
        kind: str,
        size: int,
        pieces: Callable[[], Iterator[bytes]],
    ) -> Understood:
        url = self.url(path, query)

        def send(header: str) -> Said:
            self.calls += 1
            headers = {
                "Accept": "application/json",
                "Content-Type": kind,
                "Authorization": header,
            }
            request = Request("POST", url, headers, response_bytes=RECORD_BYTES)
            return self.wire.upload(request, size, pieces)

        said = self._as_us(send)
        if isinstance(said, NeedsCredentials | Unavailable):
            return said
        exchange = meaning.exchange_of(b"", said)
        return understood(said, exchange, self.clock(), wrote=True)

    def url(self, path: str, query: Mapping[str, str] | None = None) -> str:
        asked = f"?{urlencode(query, quote_via=quote)}" if query else ""
        return f"{self.settings.url}/api/now/{path}{asked}"

    @property
    def now(self) -> float:
        """The instance's own clock, as seconds of the epoch."""
        return self.clock() + self.skew

    # --- records --------------------------------------------------------------------

    def record(
        self, table: str, record_id: str, fields: tuple[str, ...] = ()
    ) -> Row | NotThere | Trouble:
        if SYS_ID.fullmatch(record_id) is None:
            return NotThere(f"{shown(record_id)} is no sys_id")
        if trouble := _no_table(table):
            return trouble
        asked = self.ask(f"table/{table}/{record_id}", self.reading(fields))
        return self.row_of(asked)

    def row_of(self, asked: Understood) -> Row | NotThere | Trouble:
        """The one record that an answer shows."""
        if not isinstance(asked, Good):
            return asked
        row = read_row(asked.result, self.settings.display_values)
        if row is None:
            return Unavailable(
                "the answer shows no record: is the URL an instance's?",
                exchange=asked.exchange,
            )
        return row

    def rows(
        self,
        table: str,
        query: str,
        *,
        fields: tuple[str, ...] = (),
        limit: int,
        path: str = "",
    ) -> Rows | Trouble:
        """Records by an encoded query. An empty list may come as a 404."""
        if trouble := _no_table(table):
            return trouble
        params = {
            "sysparm_query": query,
            "sysparm_limit": str(limit),
            **self.reading(fields),
        }
        asked = self.ask(path or f"table/{table}", params, response_bytes=PAGE_BYTES)
        if isinstance(asked, NotThere):
            if "No Record" in asked.detail:
                return Rows([], 0)
            return Refused(
                f"{asked.detail}: is there a table {shown(table)}?", asked.exchange
            )
        if not isinstance(asked, Good):
            return asked
        if not isinstance(asked.result, list):
            return Unavailable("the answer is no list of records", exchange=Exchange())
        read = (read_row(row, self.settings.display_values) for row in asked.result)
        return Rows([row for row in read if row is not None], asked.total)

    def reading(self, fields: tuple[str, ...]) -> dict[str, str]:
        """How values are to be shown."""
        params = {"sysparm_exclude_reference_link": "true"}
        if self.settings.display_values:
            params["sysparm_display_value"] = "all"
        if fields:
            params["sysparm_fields"] = ",".join(fields)
        return params


def _as(headers: Mapping[str, str], header: str) -> dict[str, str]:
    return {**headers, "Authorization": header}


def _is_unauthorized(said: object) -> bool:
    return isinstance(said, Answer) and said.status == HTTPStatus.UNAUTHORIZED


def _spent(settings: Settings, wait: float) -> Unavailable:
    return Unavailable(
        f"its {settings.requests_per_hour} requests an hour (requests_per_hour) are"
        " used up",
        wait,
    )


def _no_table(table: str) -> Refused | None:
    if TABLE.fullmatch(table):
        return None
    return Refused(f"{shown(table)} is no table's name: correct the definition")
