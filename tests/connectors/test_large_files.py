"""Files of any size pass through the connectors, or are refused, without being held."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

from described import NOW, Files, write
from loopback_server import Line, LoopbackServer, Received, answer
from servicenow_cases import USES, OurFiles
from speakers import ACCOUNT, SYS_ID

from rps.connectors.rest import presets
from rps.connectors.rest.calls import Placed
from rps.connectors.rest.connector import RestConnector
from rps.connectors.servicenow.connector import ServiceNowConnector
from rps.domain import attachments
from rps.domain.agreement import SharedAttachments
from rps.domain.delivery import Attachment, Delivered, Incoming, Refused, Shown
from rps.domain.uses import Uses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loopback_server import Respond

    from rps.connectors.transport import Transport

PIECE = b"x" * 100_000
PIECES = 300
SIZE = len(PIECE) * PIECES
HELD_MAX = 3_000_000
"""A tenth of the file."""


def sent(line: Line, _: Received) -> bool:
    """All of it, as it is made."""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nContent-Type: image/png\r\n\r\n"
    )
    line.write(head.encode())
    for _piece in range(PIECES):
        line.write(PIECE)
    return True


class Made(OurFiles):
    """Makes the bytes as they are read."""

    def read(self, _sha256: str) -> Iterator[bytes]:
        return (PIECE for _ in range(PIECES))


def servicenow(transport: Transport, url: str) -> ServiceNowConnector:
    return ServiceNowConnector(
        transport,
        settings={"url": url, **ACCOUNT},
        secrets=['{"password": "a password"}'],
        uses=lambda _table: USES,
        files=Made(),
        clock=lambda: NOW,
    )


def test_a_file_of_an_instance_is_not_held(patient: Transport) -> None:
    with LoopbackServer(sent) as server:
        came = servicenow(patient, server.url).open_file(SYS_ID)
        assert isinstance(came, Incoming)
        tracemalloc.start()
        try:
            read = sum(len(piece) for piece in came.pieces)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (came.size, read) == (SIZE, SIZE)
    assert peak < HELD_MAX


def test_a_file_that_is_attached_to_an_instance_is_not_held(
    patient: Transport,
) -> None:
    """The server keeps what it was sent, so only what is ours is counted."""
    taken: list[int] = []

    def take(line: Line) -> None:
        size = 0
        while size < SIZE:
            size += len(line.connected.recv(1_000_000))
        taken.append(size)
        body = b'{"result": {"sys_id": "%s"}}' % SYS_ID.encode()
        line.write(
            b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )

    file = Attachment("z:1", "film.mp4", SIZE, "video/mp4", "a" * 64)
    attach = write(table="incident", record_id=SYS_ID, fields={}, attachments=(file,))
    with LoopbackServer(on_connect=take) as server:
        connector = servicenow(patient, server.url)
        tracemalloc.start()
        try:
            told = connector.write(attach)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert isinstance(told, Delivered), told
    assert taken[0] >= SIZE
    assert peak < HELD_MAX


# --- described systems ----------------------------------------------------------------

TERMS = SharedAttachments("comments", 1_000_000)
SHARED = Uses({"title": "text"}, frozenset({"comments"}), files=(TERMS,))


def desk(transport: Transport, url: str, uses: Uses = SHARED) -> RestConnector:
    _, description = presets.read_text(presets.text("generic"))
    placed = Placed(description, url, {}, "a-token")
    return RestConnector(
        *(transport, placed, Files()), lambda: NOW, uses=lambda _table: uses
    )


def record(*files: dict[str, Any]) -> list[Respond]:
    told = ({"id": 7, "version": 1, "title": "x"}, {"comments": []}, {"files": files})
    return [answer(200, json.dumps(each).encode()) for each in told]


def test_two_gigabytes_that_may_not_pass_are_not_asked_for(patient: Transport) -> None:
    film = {"id": 1, "name": "film.mp4", "size": 2_000_000_000, "type": "video/mp4"}
    with LoopbackServer(*record(film)) as server:
        shown = desk(patient, server.url).show("ticket", "7")
    assert isinstance(shown, Shown)
    [offer] = shown.attachments
    said = attachments.refusal(TERMS, offer)
    assert said == "the largest allowed here is 1 MB"
    assert [each.target for each in server.received] == [
        *("/tickets/7", "/tickets/7/comments", "/tickets/7/files"),
    ]


def test_a_file_that_does_not_tell_its_size_is_read_as_far_as_it_may_pass(
    patient: Transport,
) -> None:
    with LoopbackServer(*record({"id": 1, "name": "film.mp4"}), sent) as server:
        shown = desk(patient, server.url).show("ticket", "7")
    [offer] = shown.attachments
    assert offer["size"] == SIZE
    assert attachments.refusal(TERMS, offer) == "the largest allowed here is 1 MB"


def test_a_file_that_may_pass_is_taken_whatever_its_size(patient: Transport) -> None:
    """100 MB were the most, whatever a definition said."""
    generous = Uses(SHARED.fields, files=(SharedAttachments("comments", SIZE),))
    with LoopbackServer(*record({"id": 1, "name": "film.mp4"}), sent) as server:
        shown = desk(patient, server.url, generous).show("ticket", "7")
    [offer] = shown.attachments
    assert (offer["size"], offer["sha256"]) == (
        SIZE,
        hashlib.sha256(PIECE * PIECES).hexdigest(),
    )


def test_files_that_nobody_shares_are_not_looked_at(patient: Transport) -> None:
    with LoopbackServer(*record({"id": 1, "name": "film.mp4"})) as server:
        shown = desk(patient, server.url, Uses({"title": "text"})).show("ticket", "7")
    assert shown.attachments == ()
    assert len(server.received) == 2


def test_two_gigabytes_to_a_described_system_wait_for_a_person(
    patient: Transport,
) -> None:
    film = Attachment("z:1", "film.mp4", 2_000_000_000, "video/mp4", "a" * 64)
    with LoopbackServer(
        answer(200, b'{"id": 7, "version": 2, "title": "Printer"}')
    ) as server:
        told = desk(patient, server.url).write(write(fields={}, attachments=(film,)))
    assert isinstance(told, Refused)
    assert "has 2 GB, and at most 50 MB go to a described system" in told.detail
    assert "lower 'size_max'" in told.detail
