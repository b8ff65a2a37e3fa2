"""HTTP/1.1 as we speak it: the bytes of a request, and an answer as it comes in.

An answer is hostile input: bounded, whole, and taken for what it plainly says, or not
taken at all. http.client reads one at 60 microseconds, this at 10.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from rps.connectors.addresses import url_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

HEAD_BYTES_MAX = 65536
HEADERS_MAX = 100
_LINE_BYTES_MAX = 4096
_PORTS = {"http": 80, "https": 443}

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: .*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = re.compile(r"\r(?!\n)|\0")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_BODILESS = (
    HTTPStatus.SWITCHING_PROTOCOLS,
    HTTPStatus.NO_CONTENT,
    HTTPStatus.NOT_MODIFIED,
)


class Unreadable(Exception):
    """What came is no whole HTTP answer."""


class Target(NamedTuple):
    """Where a URL leads, and what to ask for there."""

    scheme: str
    host: str
    port: int
    path: str
    authority: str


@lru_cache(maxsize=1024)
def target(url: str) -> Target | str:
    """Or why `url` is not used at all."""
    if (reason := url_refusal(url)) is not None:
        return reason
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    named = f"[{host}]" if ":" in host else host
    authority = named if port == _PORTS[parts.scheme] else f"{named}:{port}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port, path, authority)


def request_bytes(
    method: str,
    to: Target,
    headers: Mapping[str, str],
    body: bytes,
    length: int | None = None,
) -> bytes:
    """Head and body in one piece: one packet, one wake-up over there. `length` where
    the body comes behind that. Raises ValueError for a header that would end early."""
    lines = [f"{method} {to.path} HTTP/1.1\r\nHost: {to.authority}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers.items()]
    size = len(body) if length is None else length
    lines.append(f"Content-Length: {size}\r\n\r\n")
    head = "".join(lines).encode("latin-1")
    ends = len(headers) + 4
    if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
        raise ValueError("a header holds a line break")
    return head + body


class Reading:
    """One answer, fed as it comes in; of its body `limit` bytes are kept.

    `status`, `headers` (names in lower case) and `body` hold once it is done;
    `keeps`: the connection may be used again.
    """

    __slots__ = (
        "_buffer",
        "_chunked",
        "_heads",
        "_kept",
        "_left",
        "_limit",
        "_searched",
        "body",
        "headers",
        "keeps",
        "status",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._heads = 0
        self._kept = bytearray()
        self._chunked = False
        self._left: int | None = None
        """Of the body, or of the chunk; None: until the connection ends."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.keeps = True

    def feed(self, data: bytes) -> bool:
        """Whether the answer is done. Raises Unreadable."""
        self._buffer += data
        while not self.status:
            if not self._head():
                return False
        return self._chunks() if self._chunked else self._plain()

    def end(self) -> None:
        """The connection ended; raises Unreadable where that is too early."""
        self.keeps = False
        if not self.status or self._chunked or self._left is not None:
            raise Unreadable
        self.body = bytes(self._buffer)

    def drain(self) -> bytes:
        """What has come of the body, which is not kept here then: for a body of any
        length, taken after each `feed` that was not the last."""
        if self._chunked:
            taken, self._kept = bytes(self._kept), bytearray()
            return taken
        taken = bytes(self._buffer)
        self._buffer.clear()
        if self._left is not None:
            self._left -= len(taken)
        return taken

    # --- head -----------------------------------------------------------------------

    def _head(self) -> bool:
        """Take a whole head; interim ones are skipped. `status` is set by the last."""
        buffer = self._buffer
        found = _HEAD_END.search(buffer, max(self._searched - 3, 0))
        size = found.end() if found else len(buffer)
        if self._heads + size > HEAD_BYTES_MAX:
            raise Unreadable
        if found is None:
            self._searched = size
            return False
        self._heads += size
        self._searched = 0
        text = buffer[: found.start()].decode("latin-1")
        del buffer[:size]
        first, *lines = text.replace("\r\n", "\n").split("\n")
        status = _STATUS.fullmatch(first)
        if status is None or len(lines) > HEADERS_MAX or _CONTROLS.search(text):
            raise Unreadable
        number = int(status[2])
        headers = _headers(lines)
        interim = HTTPStatus.CONTINUE <= number < HTTPStatus.OK
        if not interim or number == HTTPStatus.SWITCHING_PROTOCOLS:
            self.status, self.headers = number, headers
            self._frame(old=status[1] == "0")
        return True

    def _frame(self, *, old: bool) -> None:
        """Where the body ends, and whether the connection goes on after it."""
        headers = self.headers
        connection = headers.get("connection", "").lower()
        if "close" in connection or (old and "keep-alive" not in connection):
            self.keeps = False
        if self.status in _BODILESS:
            self._left = 0
            self.keeps &= self.status != HTTPStatus.SWITCHING_PROTOCOLS
        elif "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise Unreadable
            self._chunked, self._left = True, 0
            self.keeps &= "content-length" not in headers
        elif "content-length" in headers:
            lengths = {part.strip() for part in headers["content-length"].split(",")}
            length = lengths.pop()
            if lengths or _LENGTH.fullmatch(length) is None:
                raise Unreadable
            self._left = int(length)

    # --- body -----------------------------------------------------------------------

    def _plain(self) -> bool:
        here, left = len(self._buffer), self._left
        if left is not None and here >= left:
            self.keeps &= here == left  # else it goes on with what nobody asked for
            return self._done(self._buffer[:left])
        return here > self._limit and self._done(self._buffer)

    def _done(self, body: bytes | bytearray) -> bool:
        """What is longer than the limit costs the connection."""
        self.keeps &= len(body) <= self._limit and self._left is not None
        self.body = bytes(body[: self._limit])
        return True

    def _chunks(self) -> bool:
        """`_left` of the chunk: its bytes and the line's end behind them."""
        while True:
            if self._left and not self._chunk(self._left):
                return False
            if len(self._kept) > self._limit:
                return self._done(self._kept)
            end = self._buffer.find(b"\r\n", 0, _LINE_BYTES_MAX)
            if end < 0:
                if len(self._buffer) >= _LINE_BYTES_MAX:
                    raise Unreadable
                return False
            size = _CHUNK.fullmatch(self._buffer, 0, end)
            if size is None:
                raise Unreadable
            if not (length := int(size[1], 16)):
                return self._trailers(end)
            del self._buffer[: end + 2]
            self._left = length + 2

    def _chunk(self, left: int) -> bool:
        """Take what is there of a chunk; whether it was all."""
        buffer = self._buffer
        room = self._limit + 1 - len(self._kept)
        self._kept += buffer[: min(left - 2, room)]
        if len(buffer) < left:
            # The bytes are kept as they come; the line's end is waited for.
            taken = min(len(buffer), left - 2)
            del buffer[:taken]
            self._left = left - taken
            return len(self._kept) > self._limit
        if buffer[left - 2 : left] != b"\r\n":
            raise Unreadable
        del buffer[:left]
        self._left = 0
        return True

    def _trailers(self, end: int) -> bool:
        """Behind the last chunk: lines that say nothing to us, and an empty one."""
        buffer = self._buffer
        last = buffer.find(b"\r\n\r\n", end)
        if last < 0:
            if len(buffer) > HEAD_BYTES_MAX:
                raise Unreadable
            return False
        self.keeps &= len(buffer) == last + 4
        return self._done(self._kept)


def _headers(lines: list[str]) -> dict[str, str]:
    """By name in lower case; what is there twice is joined."""
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if name and line[0] in " \t":  # the last one goes on
            headers[name] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if not colon or _NAME.fullmatch(name) is None:
            raise Unreadable
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
