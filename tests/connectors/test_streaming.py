"""Bodies of any length, taken as they come, and files pulled from where we are."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from loopback_server import (
    LOOPBACK,
    Line,
    LoopbackServer,
    Received,
    Respond,
    answer,
    raw,
)
from pushing import OLD_SECRET, SECRET, push

from rps.connectors.signature import verify
from rps.connectors.streaming import Opened
from rps.connectors.transport import Answer, NoAnswer, NotSent, Request, Transport
from rps.domain.delivery import (
    CutOff,
    Incoming,
    Missing,
    NeedsCredentials,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@pytest.fixture
def hasty() -> Iterator[Transport]:
    """Waits a fifth of a second for more bytes."""
    made = Transport(LOOPBACK, connect_seconds=0.5, total_seconds=0.5, idle_seconds=0.2)
    yield made
    made.close()


def streamed(transport: Transport, server: LoopbackServer) -> Any:
    return transport.stream(Request("GET", f"{server.url}/file", {}))


def chunked(*sizes: int) -> bytes:
    written, at = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0
    for size in sizes:
        written += b"%x;x=y\r\n%b\r\n" % (size, BODY[at : at + size])
        at += size
    return written + b"0\r\nTrailer: x\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + BODY,
        chunked(1, 65536, 65537, len(BODY) - 131074),
        chunked(*[4096] * 256),
        b"HTTP/1.1 200 OK\r\n\r\n" + BODY,  # until the connection ends
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + BODY,
    ],
)
def test_a_body_comes_as_it_was_sent(transport: Transport, sent: bytes) -> None:
    with LoopbackServer(raw(sent, keep=False)) as server:
        opened = streamed(transport, server)
        assert isinstance(opened, Opened)
        pieces = list(opened.pieces)
    assert b"".join(pieces) == BODY
    assert max(map(len, pieces)) <= 65536


def test_a_body_that_drips_in_bytes_is_the_same(patient: Transport) -> None:
    def drip(line: Line, _: Received) -> bool:
        line.write(HEAD.replace(b"%d" % len(BODY), b"50"))
        line.drip(BODY[:50], 0.001)
        return False

    with LoopbackServer(drip) as server:
        assert b"".join(streamed(patient, server).pieces) == BODY[:50]


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + BODY[:70000],
        chunked(65536)[:-30],
        chunked(65536)[:-20] + b"nonsense\r\n" * 10,
    ],
)
def test_a_cut_says_so_after_what_came(transport: Transport, sent: bytes) -> None:
    with LoopbackServer(raw(sent, keep=False)) as server:
        came: list[bytes] = []
        with pytest.raises(CutOff):
            came.extend(streamed(transport, server).pieces)
    assert BODY.startswith(b"".join(came))


def test_bytes_that_stop_coming_are_waited_for_a_while(hasty: Transport) -> None:
    def stall(line: Line, _: Received) -> bool:
        line.write(HEAD + BODY[:1000])
        line.hang()
        return False

    with LoopbackServer(stall) as server:
        pieces = streamed(hasty, server).pieces
        assert next(pieces) == BODY[:1000]
        with pytest.raises(CutOff, match="in time"):
            next(pieces)


def test_whoever_takes_no_more_closes_the_connection(transport: Transport) -> None:
    with LoopbackServer(raw(HEAD + BODY)) as server:
        pieces = streamed(transport, server).pieces
        next(pieces)
        pieces.close()
        assert server.closed.acquire(timeout=5)


def test_another_answer_is_an_answer_of_bounded_size(transport: Transport) -> None:
    with LoopbackServer(answer(404, b"x" * 1_000_000)) as server:
        said = streamed(transport, server)
    assert isinstance(said, Answer)
    assert (said.status, len(said.body)) == (404, 65536)


def test_what_does_not_answer_is_told_from_what_was_not_reached(
    transport: Transport,
) -> None:
    def hang(line: Line, _: Received) -> bool:
        line.hang()
        return False

    with LoopbackServer(hang) as server:
        assert isinstance(streamed(transport, server), NoAnswer)
        server.stop()
        assert isinstance(streamed(transport, server), NotSent)
    refused = Transport(()).stream(Request("GET", "http://127.0.0.1:1/x", {}))
    assert isinstance(refused, NotSent)


def test_memory_does_not_grow_with_the_body(transport: Transport) -> None:
    megabytes = 64

    def flood(line: Line, _: Received) -> bool:
        line.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (megabytes * 10**6)
        )
        line.flood(megabytes)
        return False

    with LoopbackServer(flood) as server:
        pieces = streamed(transport, server).pieces
        next(pieces)
        tracemalloc.start()
        try:
            came = sum(len(piece) for piece in pieces)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert came > (megabytes - 1) * 10**6
    assert peak < 4 * 10**6  # the server's own megabyte is in it


# --- files --------------------------------------------------------------------------


def ranges(line: Line, request: Received) -> bool:
    """As a file server answers."""
    start = int(request.headers.get("range", "bytes=0-")[6:-1])
    said = f"Content-Range: bytes {start}-{len(BODY) - 1}/{len(BODY)}\r\n"
    status = "206 Partial Content" if start else "200 OK"
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(BODY) - start}\r\n"
    line.write((head + (said if start else "") + "\r\n").encode() + BODY[start:])
    return True


def test_a_file_is_asked_for_by_its_hash_and_signed(transport: Transport) -> None:
    with LoopbackServer(ranges) as server:
        came = push(transport, server).fetch(SHA256, 0)
        assert isinstance(came, Incoming)
        assert (came.start, came.size) == (0, len(BODY))
        assert b"".join(came.pieces) == BODY
    (request,) = server.received
    assert request.target == f"/hooks/attachments/{SHA256}"
    verify(request.headers, b"", [SECRET], 1_760_000_000)
    verify(request.headers, b"", [OLD_SECRET], 1_760_000_000)
    assert "range" not in request.headers


def test_and_from_where_we_are_with_it(transport: Transport) -> None:
    with LoopbackServer(ranges) as server:
        came = push(transport, server).fetch(SHA256, 1000)
        assert isinstance(came, Incoming)
        assert (came.start, came.size) == (1000, len(BODY))
        assert b"".join(came.pieces) == BODY[1000:]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (answer(404), Missing),
        (answer(410), Missing),
        (answer(401), NeedsCredentials),
        (answer(503, b"", [("Retry-After", "7")]), Unavailable),
        (answer(302, b"", [("Location", "http://127.0.0.1/")]), Unavailable),
        (answer(400), Refused),
        (answer(412), Refused),
        (answer(204), Refused),
        (raw(b"HTTP/1.1 206 OK\r\nContent-Length: 1\r\n\r\nx"), Refused),
        (
            raw(
                b"HTTP/1.1 206 OK\r\nContent-Range: bytes 2000-2001/9\r\n"
                b"Content-Length: 1\r\n\r\nx"
            ),
            Refused,
        ),
        (raw(b"SSH-2.0\r\n", keep=False), Unavailable),
    ],
)
def test_what_else_may_come(transport: Transport, said: Respond, kind: Any) -> None:
    with LoopbackServer(said) as server:
        assert isinstance(push(transport, server).fetch(SHA256, 1000), kind)


def test_a_system_that_knows_no_ranges_gives_all_of_it(transport: Transport) -> None:
    with LoopbackServer(raw(HEAD + BODY)) as server:
        came = push(transport, server).fetch(SHA256, 1000)
        assert isinstance(came, Incoming)
        assert (came.start, came.size) == (0, len(BODY))
        came.pieces.close()
