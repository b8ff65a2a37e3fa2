"""The one place where connections to other systems are opened.

`requests` with an adapter of our own: its session and urllib3 below it take 650
microseconds a request, nearly all of it their bookkeeping. Redirects are answers;
cookies, proxies and .netrc of the environment are not looked at.
"""

from __future__ import annotations

import io
import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_encoding_from_headers

from rps.connectors import addresses, advice, http1
from rps.connectors.dialing import AddressRefused, Dialer
from rps.connectors.exchange import Exchange, Group, Lines
from rps.connectors.hiding import hidden_bytes, secrets_in
from rps.connectors.streaming import Lost, Opened, Streams

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rps.config import Config, Network
    from rps.connectors.addresses import Resolver

RESPONSE_BYTES = 65536
_SENT = {
    "User-Agent": "rps",
    "Accept-Encoding": "identity",  # nothing to decompress, no bombs
}


class Headers(Mapping[str, str]):
    """Of an answer; names in any case."""

    __slots__ = ("_lower",)

    def __init__(self, lower: dict[str, str]) -> None:
        self._lower = lower

    def __getitem__(self, name: str) -> str:
        return self._lower[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lower)

    def __len__(self) -> int:
        return len(self._lower)


@dataclass(frozen=True, slots=True)
class Answer:
    """The system answered. `headers` ignores case; `body` is cut at the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing reached the system: refused, not found, not connected, not trusted."""

    detail: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The request may have reached the system; no whole answer came back."""

    detail: str
    seconds: float = 0.0


Said = Answer | NotSent | NoAnswer


@dataclass(frozen=True, slots=True)
class Request:
    """`retry_safe`: doing it twice is doing it once (GET, or deduplicated by id); then
    a connection found to be closed while idle costs one more try on a new one, within
    the same deadline. `url` is ASCII, names in other scripts as punycode.
    `response_bytes` of the answer are kept. Neither `secrets` nor what `Authorization`
    says are in the answer's body, should the system repeat them (`hiding.py`).
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    retry_safe: bool = False
    response_bytes: int = RESPONSE_BYTES
    secrets: tuple[str, ...] = ()


class Adapter(BaseAdapter):
    """For a `requests` session, and for many requests side by side without one.

    `allow_networks` may be reached at any port, by http too; everything else only where
    public, by https on 443 and 8443. `ca_file` (PEM) adds an operator's own authorities
    to the public ones; `authorities` (PEM) vouch instead of all of these.
    """

    def __init__(
        self,
        allow_networks: tuple[Network, ...],
        *,
        connect_seconds: float = 5.0,
        total_seconds: float = 30.0,
        idle_seconds: float = 30.0,
        resolve: Resolver = addresses.resolve,
        ca_file: Path | None = None,
        authorities: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        trust = _trust(authorities, ca_file)
        self._dialer = Dialer(allow_networks, resolve, trust, connect_seconds, clock)
        self._lines = Lines(clock)
        self._streams = Streams(self._dialer, clock, total_seconds, idle_seconds)
        self._clock = clock
        self._seconds = total_seconds

    def exchange(self, asked: Sequence[Request]) -> Iterator[list[tuple[int, Said]]]:
        """What came of each, with its place, as it comes; never raises for what the
        other side or the network does."""
        refused: list[tuple[int, Said]] = []
        exchanges = []
        for place, request in enumerate(asked):
            made = _exchange(place, request)
            if isinstance(made, str):
                refused.append((place, NotSent(made)))
            else:
                exchanges.append(made)
        if refused:
            yield refused
        group = Group(exchanges, self._lines, self._dialer, self._clock, self._seconds)
        for done in group.done():
            yield [(each.index, _said(each, asked[each.index])) for each in done]

    def stream(self, asked: Request) -> Said | Opened:
        """The answer to a request without a body: a body that comes, or what else."""
        started = self._clock()
        made = _bytes_of(asked)
        if isinstance(made, str):
            return NotSent(made)
        try:
            opened = self._streams.open(*made)
        except Lost as lost:
            reason = _reason(lost.__cause__ or lost)
            return NoAnswer(reason, self._clock() - started)
        except (AddressRefused, OSError, ValueError) as error:
            return NotSent(_unreached(error), self._clock() - started)
        if isinstance(opened, Opened):
            return opened
        headers = Headers(opened.headers)
        seconds = self._clock() - started
        body = _shown(opened.status, opened.body, asked)
        return Answer(opened.status, headers, body, seconds)

    def upload(
        self, asked: Request, size: int, pieces: Callable[[], Iterator[bytes]]
    ) -> Said:
        """A request whose body is `size` bytes that come in pieces."""
        started = self._clock()
        made = _bytes_of(asked, size)
        if isinstance(made, str):
            return NotSent(made)
        reading = http1.Reading(asked.response_bytes)
        try:
            self._streams.send(*made, _exactly(pieces(), size), reading)
        except Lost as lost:
            reason = _reason(lost.__cause__ or lost)
            return NoAnswer(reason, self._clock() - started)
        except (AddressRefused, OSError, ValueError) as error:
            return NotSent(_unreached(error), self._clock() - started)
        seconds = self._clock() - started
        body = _shown(reading.status, reading.body, asked)
        return Answer(reading.status, Headers(reading.headers), body, seconds)

    def send(
        self, request: requests.PreparedRequest, *_: Any, **_options: Any
    ) -> requests.Response:
        """For a session, which follows redirects and keeps cookies as it is told."""
        body = request.body or b""
        asked = Request(
            request.method or "GET",
            request.url or "",
            {n: v for n, v in request.headers.items() if n.lower() not in _OURS},
            body.encode() if isinstance(body, str) else bytes(body),
        )
        [said] = [said for came in self.exchange([asked]) for _, said in came]
        if not isinstance(said, Answer):
            raise requests.ConnectionError(said.detail, request=request)
        response = requests.Response()
        response.status_code = said.status
        response.headers = CaseInsensitiveDict(said.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw = io.BytesIO(said.body)
        response.url = asked.url
        response.request = request
        return response

    def close(self) -> None:
        self._lines.close()


_OURS = {"host", "content-length", "transfer-encoding", *(n.lower() for n in _SENT)}


class Transport:
    """Requests to other systems; one for the whole process, any number of threads.
    Options are the adapter's. Make it after forking."""

    def __init__(self, allow_networks: tuple[Network, ...], **options: Any) -> None:
        self._adapter = Adapter(allow_networks, **options)
        self._make = partial(Transport, allow_networks, **options)
        self._trusting: dict[str, Transport] = {}
        self._lock = Lock()

    def trusting(self, authorities: str) -> Transport:
        """One for systems that these vouch for (PEM; "": this one), the same each time
        it is asked for: its connections are its own."""
        if not authorities:
            return self
        with self._lock:
            if authorities not in self._trusting:
                self._trusting[authorities] = self._make(authorities=authorities)
            return self._trusting[authorities]

    @classmethod
    def of(cls, config: Config) -> Self:
        """To the networks, and by the certificates, that the operator trusts."""
        return cls(config.allow_networks, ca_file=config.ca_file)

    def send_many(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[int, Said]]]:
        """Side by side, by this thread."""
        return self._adapter.exchange(requests)

    def send(self, request: Request) -> Said:
        [said] = [
            said for came in self._adapter.exchange([request]) for _, said in came
        ]
        return said

    def stream(self, request: Request) -> Said | Opened:
        """For a body of any length: Opened where it comes, with 200 or 206."""
        return self._adapter.stream(request)

    def upload(
        self, request: Request, size: int, pieces: Callable[[], Iterator[bytes]]
    ) -> Said:
        """A request whose body of any length comes in pieces."""
        return self._adapter.upload(request, size, pieces)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        retry_safe: bool = False,
    ) -> Said:
        return self.send(Request(method, url, headers, body, retry_safe))

    def close(self) -> None:
        self._adapter.close()
        for each in self._trusting.values():
            each.close()


def _trust(authorities: str, ca_file: Path | None) -> ssl.SSLContext:
    if authorities:
        trust = ssl.create_default_context(cadata=authorities)
        # Whatever was named is trusted, also one that another authority vouches for.
        trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        trust = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
        if ca_file is not None:
            trust.load_verify_locations(cafile=ca_file)
    trust.minimum_version = ssl.TLSVersion.TLSv1_2
    trust.set_alpn_protocols(["http/1.1"])
    return trust


def _exchange(place: int, request: Request) -> Exchange | str:
    """Or why it is not sent."""
    made = _bytes_of(request)
    if isinstance(made, str):
        return made
    limit = request.response_bytes
    return Exchange(place, *made, limit, retry_safe=request.retry_safe)


def _exactly(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Raises OSError where there are not `size` bytes: nothing whole was sent."""
    sent = 0
    for piece in pieces:
        sent += len(piece)
        if sent > size:
            break
        yield piece
    if sent != size:
        raise OSError("its bytes are not as many as were announced")


def _bytes_of(
    request: Request, length: int | None = None
) -> tuple[http1.Target, bytes] | str:
    """Where it leads and what is sent, or why it is not."""
    to = http1.target(request.url)
    if isinstance(to, str):
        return to
    headers = {**_SENT, **request.headers}
    try:
        made = http1.request_bytes(request.method, to, headers, request.body, length)
    except ValueError as error:
        return str(error)
    return to, made


def _said(done: Exchange, asked: Request) -> Said:
    if done.error is not None:
        if done.sent:
            return NoAnswer(_reason(done.error), done.seconds)
        return NotSent(_unreached(done.error), done.seconds)
    answer = done.answer
    body = _shown(answer.status, answer.body, asked)
    return Answer(answer.status, Headers(answer.headers), body, done.seconds)


def _shown(status: int, body: bytes, asked: Request) -> bytes:
    secrets = (*asked.secrets, *secrets_in(asked.headers))
    return hidden_bytes(status, body, secrets) if secrets else body


def _unreached(error: BaseException) -> str:
    """Why nothing was sent, and what to do about it."""
    known = advice.unreached(error)
    return f"{_reason(error)}: {known}" if known else _reason(error)


def _reason(error: BaseException) -> str:
    """Repeats nothing that the other side wrote."""
    match error:
        case AddressRefused():
            return str(error)
        case ssl.SSLCertVerificationError():
            return f"TLS: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS: {error.reason}"
        case TimeoutError():
            return "not done in time"
        case http1.Unreadable():
            return "no whole HTTP answer"
        case _:
            return f"{type(error).__name__}: {error}"[:300]
