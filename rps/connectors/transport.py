"""The one place where connections to other systems are opened.

Addresses are checked inside the connection: one look-up, one bad candidate refuses the
name, the checked address is the one connected to (`security.md`, 5). One deadline runs
over connecting, sending and every single read. Redirects are answers; proxies and
.netrc of the environment are not looked at.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException, IncompleteRead
from typing import TYPE_CHECKING, Any, cast

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ReadTimeoutError

from rps.connectors import addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rps.config import Network
    from rps.connectors.addresses import Address, Resolver

# Servers close idle connections after 5 s (gunicorn) to 75 s (nginx). One that is about
# to be closed loses the request sent on it, so what has been quiet is not used again.
IDLE_SECONDS = 20.0
RESPONSE_BYTES = 65536
_CANDIDATES_TRIED = 4
_THREADS_PER_HOST = 64
_HOSTS = 256


class AddressRefused(Exception):
    """The URL leads to an address that deliveries may not go to.

    Not an OSError: urllib3 would turn it into "Connection aborted".
    """


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
    `response_bytes` of the answer are kept.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""
    retry_safe: bool = False
    response_bytes: int = RESPONSE_BYTES


@dataclass(slots=True)
class _Attempt:
    """One request on one connection: its deadline, and how far it got."""

    clock: Callable[[], float]
    deadline: float
    fresh: bool = False
    reused: bool = False
    sent: bool = False

    def remaining(self) -> float:
        left = self.deadline - self.clock()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left


class _BoundedSocket(socket.socket):
    """Every call waits at most until the deadline of the attempt using it."""

    attempt: _Attempt | None = None

    def _bound(self) -> None:
        if self.attempt is not None:
            self.settimeout(self.attempt.remaining())

    def recv_into(self, *args: Any, **options: Any) -> int:
        self._bound()
        return super().recv_into(*args, **options)

    def send(self, *args: Any, **options: Any) -> int:
        self._bound()
        return super().send(*args, **options)

    def sendall(self, *args: Any, **options: Any) -> None:
        self._bound()
        super().sendall(*args, **options)


class _BoundedTLSSocket(_BoundedSocket, ssl.SSLSocket):
    pass


@dataclass(eq=False)
class _Dialer(threading.local):
    """Opens connections to checked addresses only; `attempt` is each thread's own."""

    allowed: tuple[Network, ...]
    resolve: Resolver
    connect_seconds: float
    clock: Callable[[], float]
    attempt: _Attempt = field(init=False)

    def dial(self, scheme: str, host: str, port: int) -> socket.socket:
        """Raises AddressRefused, or OSError when none of the addresses connects."""
        seconds = min(self.connect_seconds, self.attempt.remaining())
        latest = self.clock() + seconds
        found = addresses.looked_up(self.resolve, host, port, seconds)
        for address in found:
            self._admit(scheme, address, port)
        failure = OSError("the name has no address")
        tried = found[:_CANDIDATES_TRIED]
        for done, address in enumerate(tried):
            share = (latest - self.clock()) / (len(tried) - done)
            try:
                return self._connected(scheme, address, port, share)
            except OSError as error:
                failure = error
        if isinstance(failure, ConnectionResetError):
            # urllib3 would read on, taking it for a reset while sending.
            raise ConnectionRefusedError(str(failure))
        raise failure

    def _admit(self, scheme: str, address: Address, port: int) -> None:
        if reason := addresses.endpoint_refusal(scheme, address, port, self.allowed):
            raise AddressRefused(reason)

    def _connected(
        self, scheme: str, address: Address, port: int, seconds: float
    ) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - as in IPv4
        connected = _BoundedSocket(family, socket.SOCK_STREAM)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.settimeout(max(seconds, 0.001))
            connected.connect((str(address), port))
            self._admit(scheme, _peer(connected), port)
            # The TLS handshake has as long again.
            connected.settimeout(min(self.connect_seconds, self.attempt.remaining()))
        except BaseException:
            connected.close()
            raise
        return connected


class _WholeLines(io.BufferedReader):
    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line:
            raise IncompleteRead(b"")  # a head that was cut is no head
        return line


class _StrictResponse(http.client.HTTPResponse):
    """Takes a whole and readable head only, and skips every interim answer.

    http.client skips 100 alone; after a 103 each answer would come one request late.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fp = _WholeLines(self.fp.detach())

    def begin(self) -> None:
        super().begin()
        if self.msg.defects:
            raise HTTPException("unreadable head")

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        interim = http.HTTPStatus.SWITCHING_PROTOCOLS < status < http.HTTPStatus.OK
        return version, http.HTTPStatus.CONTINUE if interim else status, reason


class _Connection(HTTPConnection):
    scheme = "http"
    response_class = _StrictResponse

    def __init__(self, *args: Any, dialer: _Dialer, **options: Any) -> None:
        super().__init__(*args, **options)
        self._dialer = dialer
        self._unsent: list[bytes] = []
        self._quiet_since = 0.0

    def _new_conn(self) -> socket.socket:
        self._dialer.attempt.reused = False
        return self._dialer.dial(self.scheme, self._dns_host, self.port)

    @property
    def is_connected(self) -> bool:
        """Asked by the pool before it uses an idle connection again."""
        attempt = self._dialer.attempt
        idle = self._dialer.clock() - self._quiet_since
        attempt.reused = (
            not attempt.fresh and idle < IDLE_SECONDS and super().is_connected
        )
        return attempt.reused

    def request(self, *args: Any, **options: Any) -> None:
        """Head and body leave in one write: one packet, one wake-up over there."""
        self._unsent = []
        super().request(*args, **options)
        if self.sock is None:
            self.connect()
        attempt = self._dialer.attempt
        bounded = cast("_BoundedSocket", self.sock)
        bounded.attempt = attempt
        attempt.sent = True
        bounded.sendall(b"".join(self._unsent))

    def send(self, data: Any) -> None:
        self._unsent.append(data)

    def getresponse(self) -> Any:
        response = super().getresponse()
        self._quiet_since = self._dialer.clock()
        return response


class _TLSConnection(_Connection, HTTPSConnection):
    scheme = "https"


class _Adapter(HTTPAdapter):
    """`requests` with our connections, without cookies, proxies and redirects."""

    def __init__(self, dialer: _Dialer, trust: ssl.SSLContext) -> None:
        super().__init__()
        self.init_poolmanager(_HOSTS, _THREADS_PER_HOST, ssl_context=trust)
        self._dialer = dialer

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        pool.ConnectionCls = _TLSConnection if pool.scheme == "https" else _Connection
        pool.conn_kw["dialer"] = self._dialer
        return pool

    def cert_verify(self, *_: Any) -> None:
        """The context holds the authorities: no file is read per connection."""

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:
        response = Response()
        response.request = req
        response.raw = resp
        return response


class Transport:
    """Requests to other systems; one for the whole process, any number of threads.

    `allow_networks` may be reached at any port, by http too; everything else only where
    public, by https on 443 and 8443. `ca_file` (PEM) adds an operator's own authorities
    to the public ones. Make it after forking.
    """

    def __init__(
        self,
        allow_networks: tuple[Network, ...],
        *,
        connect_seconds: float = 5.0,
        total_seconds: float = 30.0,
        resolve: Resolver = addresses.resolve,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        trust = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
        trust.minimum_version = ssl.TLSVersion.TLSv1_2
        trust.sslsocket_class = _BoundedTLSSocket
        if ca_file is not None:
            trust.load_verify_locations(cafile=ca_file)
        self._dialer = _Dialer(allow_networks, resolve, connect_seconds, clock)
        self._adapter = _Adapter(self._dialer, trust)
        self._clock = clock
        self._seconds = (connect_seconds, total_seconds)

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

    def send_many(
        self, requests: Sequence[Request]
    ) -> Iterator[list[tuple[int, Said]]]:
        for place, request in enumerate(requests):
            yield [(place, self.send(request))]

    def send(self, request: Request) -> Said:
        """Send once; never raises for what the other side or the network does."""
        if (reason := addresses.url_refusal(request.url)) is not None:
            return NotSent(reason)
        prepared = _prepared(request)
        attempt = _Attempt(self._clock, self._clock() + self._seconds[1])
        outcome = self._attempted(prepared, attempt, request.response_bytes)
        stale = isinstance(outcome, NoAnswer) and attempt.reused
        if not (stale and request.retry_safe) or self._clock() >= attempt.deadline:
            return outcome
        # The first one may have arrived, even where the second one does not leave.
        again = _Attempt(self._clock, attempt.deadline, fresh=True, sent=True)
        return self._attempted(prepared, again, request.response_bytes)

    def close(self) -> None:
        self._adapter.close()

    def _attempted(
        self, prepared: PreparedRequest, attempt: _Attempt, limit: int
    ) -> Said:
        self._dialer.attempt = attempt
        started = self._clock()
        try:
            raw = self._adapter.send(prepared, stream=True, timeout=self._seconds).raw
            kept = _kept(raw, limit)
        except (AddressRefused, OSError, HTTPError, HTTPException, ValueError) as error:
            lost = NoAnswer if attempt.sent else NotSent
            return lost(_said(error), self._clock() - started)
        return Answer(raw.status, raw.headers, kept, self._clock() - started)


def _kept(raw: Any, limit: int) -> bytes:
    """The body up to the limit; what is longer costs the connection."""
    kept = b""
    room = limit + 1
    while len(kept) < room and (part := raw.read(room - len(kept))):
        kept += part
    if len(kept) == room:
        raw.close()
    return kept[:limit]


def _peer(connected: socket.socket) -> Address:
    peer = connected.getpeername()
    if peer == connected.getsockname():
        # TCP lets a loopback port that nobody listens on connect to itself.
        raise ConnectionRefusedError("connected to ourselves")
    return ipaddress.ip_address(peer[0])


def _prepared(asked: Request) -> PreparedRequest:
    """Filled in directly: `Request.prepare` costs more than the sending."""
    request = PreparedRequest()
    request.method = asked.method
    request.url = asked.url
    sent: Any = {
        "User-Agent": "rps",
        "Accept-Encoding": "identity",  # nothing to decompress, no bombs
        **asked.headers,
        "Content-Length": str(len(asked.body)),
    }
    request.headers = sent
    request.body = asked.body or None
    return request


def _said(error: BaseException) -> str:
    """The innermost reason, repeating nothing that the other side wrote."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return _said(inner)
    match error:
        case AddressRefused():
            return str(error)
        case ssl.SSLError():
            return f"TLS: {getattr(error, 'verify_message', error.reason)}"
        case TimeoutError() | ReadTimeoutError():
            return "not done in time"
        case HTTPException() | HTTPError():
            return f"no whole HTTP answer ({type(error).__name__})"
        case _:
            return f"{type(error).__name__}: {error}"[:300]
