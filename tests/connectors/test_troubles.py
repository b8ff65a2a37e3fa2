"""What an operator reads, and what rps makes of it, when a system is not as it should
be: every connector that asks, against real servers. docs/troubleshooting.md has the
same table for people."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest
from described import NOW
from loopback_server import LOOPBACK, LoopbackServer, answer
from private_authority import Authority
from speakers import SPEAKERS, TABLE

from rps.connectors.transport import Transport
from rps.domain.delivery import (
    Changes,
    NeedsCredentials,
    Refused,
    Unavailable,
    Uncertain,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from loopback_server import Respond

HOST = "desk.test"
KNOWN, UNKNOWN = Authority("Acme"), Authority("Nobody")
HTML = [("Content-Type", "text/html; charset=utf-8")]
JSON = [("Content-Type", "application/json")]
LOGIN = b"<!DOCTYPE html><html><title>Log in</title></html>"
ELSEWHERE = "https://login.example.com/x?token=s3cret"


def document(value: Any, status: int = 200) -> Respond:
    return answer(status, json.dumps(value).encode(), JSON)


def stamped(seconds: float, status: int, value: Any) -> Respond:
    """By a clock that shows so many seconds more than ours."""
    at = format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)
    return answer(status, json.dumps(value).encode(), [*JSON, ("Date", at)])


# --- what is not reached ------------------------------------------------------------


@contextmanager
def closed(_folder: Path) -> Iterator[str]:
    with LoopbackServer(answer(200)) as server:
        port = server.port
    yield f"http://{HOST}:{port}"


@contextmanager
def tls(context: ssl.SSLContext) -> Iterator[str]:
    with LoopbackServer(answer(200, b"{}"), tls=context) as server:
        yield f"https://{HOST}:{server.port}"
        assert server.received == []  # no password, no message


@contextmanager
def plain(_folder: Path) -> Iterator[str]:
    """Speaks HTTP where TLS is begun, and says so in HTTP."""
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    with LoopbackServer(on_connect=lambda line: line.write(refused)) as server:
        yield f"https://{HOST}:{server.port}"


@contextmanager
def at(url: str) -> Iterator[str]:
    yield url


UNREACHED = {
    "no such host": (lambda _: at("http://nowhere.test"), "there is no such host"),
    "refused": (closed, "nothing listens there: is it running"),
    "not allowed": (lambda _: at("http://inside.test"), "RPS_ALLOW_NETWORKS"),
    "no TLS": (plain, "is https what is spoken at this port?"),
    "self-signed": (
        lambda folder: tls(UNKNOWN.serves(folder, HOST)),
        "have a known authority sign it",
    ),
    "expired": (
        lambda folder: tls(KNOWN.serves(folder, HOST, days=-1)),
        "certificate has expired: have it renewed there",
    ),
    "wrong host": (
        lambda folder: tls(KNOWN.serves(folder, "other.test")),
        "it is for another name: correct the URL",
    ),
}


@pytest.fixture(scope="module")
def wire() -> Iterator[Transport]:
    """Knows an authority, and the names of desk.test and inside.test."""
    known = {HOST: ["127.0.0.1"], "inside.test": ["10.0.0.1"]}

    def resolve(host: str, _port: int) -> list[str]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known[host]

    made = Transport(
        LOOPBACK, connect_seconds=2, authorities=KNOWN.pem, resolve=resolve
    )
    yield made
    made.close()


@pytest.mark.parametrize("trouble", UNREACHED)
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_where_it_is_not_reached_nothing_was_written_and_it_says_what_to_do(
    wire: Transport, speaker: str, trouble: str, tmp_path: Path
) -> None:
    way, words = UNREACHED[trouble]
    asks = SPEAKERS[speaker]
    with way(tmp_path) as url:
        connector = asks.connect(wire, url)
        outcome = connector.write(asks.update)
        fine, says = connector.check()
        polled = connector.changes_since(TABLE[speaker], asks.cursor)
    assert isinstance(outcome, Unavailable), outcome
    assert words in outcome.detail
    assert (fine, words in says) == (False, True), says
    if asks.cursor is not None:
        assert isinstance(polled, Unavailable)
        assert words in polled.detail


# --- what is answered ---------------------------------------------------------------

UNREADABLE = b'{"result": [{"sys_id": "0'
WRITE, CHECK, POLL = "write", "check", "poll"
ROWS: list[tuple[Any, ...]] = []
"""The trouble, what is answered to everything, who asks for what, and what comes of it;
`check` has no outcome, only words."""


def row(trouble: str, told: Respond, **by: dict[str, tuple[Any, str]]) -> None:
    for speaker, each in by.items():
        for asked, (kind, words) in each.items():
            ROWS.append((trouble, told, speaker, asked, kind, words))


NO_PAGE = "a web page instead of JSON: is the URL an instance's"
row(
    "a wrong path",
    answer(404, b"<html>Not Found</html>", HTML),
    rest={
        CHECK: (None, "404: are --url and --set right?"),
        POLL: (Refused, "404: are --url and --set right?"),
        WRITE: (Refused, "the record is not there any more"),
    },
    servicenow={
        CHECK: (None, NO_PAGE),
        POLL: (Unavailable, NO_PAGE),
        WRITE: (Unavailable, NO_PAGE),
    },
    push={
        CHECK: (None, "nothing answers at this path; correct the URL"),
        WRITE: (Refused, "no such record, or no receiver at this URL"),
    },
)
row(
    "a web page",
    answer(200, LOGIN, HTML),
    rest={
        CHECK: (None, "a login page, a proxy or another site; correct it"),
        POLL: (Refused, "a login page, a proxy or another site; correct it"),
        WRITE: (Uncertain, "a login page, a proxy or another site; correct it"),
    },
    servicenow={
        CHECK: (None, NO_PAGE),
        POLL: (Unavailable, NO_PAGE),
        WRITE: (Unavailable, NO_PAGE),
    },
    push={
        CHECK: (None, "not to what takes messages; correct it"),
        WRITE: (Unavailable, "not to what takes messages; correct it"),
    },
)
row(
    "JSON that is cut off",
    answer(200, UNREADABLE, JSON),
    rest={
        CHECK: (None, "cut on the way, or longer than limits/answer_bytes"),
        POLL: (Unavailable, "cut on the way, or longer than limits/answer_bytes"),
        WRITE: (Uncertain, "cut on the way, or longer than limits/answer_bytes"),
    },
    servicenow={
        CHECK: (None, "look at what stands between, a proxy or a gateway"),
        POLL: (Unavailable, "look at what stands between, a proxy or a gateway"),
        WRITE: (Unavailable, "look at what stands between, a proxy or a gateway"),
    },
)
row(
    "200 with an error",
    document({"error": {"message": "no such table", "detail": "tickets"}}),
    rest={
        POLL: (Refused, "the answer holds no list of records: see changes/records"),
        WRITE: (Refused, "it took the write, but shows no field title"),
    },
    servicenow={
        CHECK: (None, "answered 200 with an error: no such table: tickets"),
        POLL: (Unavailable, "answered 200 with an error: no such table: tickets"),
        WRITE: (Unavailable, "answered 200 with an error: no such table: tickets"),
    },
    push={WRITE: (Refused, "let the receiver answer 4xx or 5xx when it was not")},
)
REDIRECTED = "a redirect to login.example.com: rps follows none"
ASKED = {CHECK: (None, REDIRECTED), WRITE: (Unavailable, REDIRECTED)}
row(
    "a redirect",
    answer(302, b"", [("Location", ELSEWHERE)]),
    rest={**ASKED, POLL: (Unavailable, REDIRECTED)},
    servicenow={**ASKED, POLL: (Unavailable, REDIRECTED)},
    push=ASKED,
)
row(
    "wrong credentials",
    document({"error": {"message": "User Not Authenticated"}}, 401),
    rest={
        CHECK: (None, "give the system's secret anew"),
        POLL: (NeedsCredentials, "give the system's secret anew"),
        WRITE: (NeedsCredentials, "give the system's secret anew"),
    },
    servicenow={
        CHECK: (None, "give the right credentials"),
        POLL: (NeedsCredentials, "give the right credentials"),
        WRITE: (NeedsCredentials, "give the right credentials"),
    },
    push={
        CHECK: (None, "give both sides the same secret"),
        WRITE: (NeedsCredentials, "give both sides the same secret"),
    },
)
row(
    "no right to one record",
    document(
        {"error": {"message": "Operation Failed", "detail": "ACL Exception"}}, 403
    ),
    rest={WRITE: (Refused, "give it the right, then retry")},
    servicenow={WRITE: (Refused, "give it a role that may")},
    push={WRITE: (NeedsCredentials, "give both sides the same secret")},
)
row(
    "one record that is hidden",
    document({"error": {"message": "No Record found", "detail": "ACL"}}, 404),
    rest={WRITE: (Refused, "the record is not there any more")},
    servicenow={WRITE: (Refused, "is gone, or access controls hide it")},
    push={WRITE: (Refused, "no such record, or no receiver at this URL")},
)
row(
    "a field that was renamed",
    document(
        {
            "id": 7,
            "version": 2,
            "headline": "Printer",
            "record_id": "42",
            "result": {
                "sys_id": "0" * 31 + "7",
                "headline": "",
                "sys_mod_count": "1",
            },
        }
    ),
    rest={WRITE: (Refused, "shows no field title: was it renamed")},
    servicenow={WRITE: (Refused, "shows no 'short_description': it was renamed")},
)
row(
    "a field that is not known",
    document({"title": "There is no field title"}, 422),
    rest={WRITE: (Refused, "answered 422: There is no field title")},
    servicenow={WRITE: (Refused, "answered 422")},
    push={WRITE: (Refused, "answered 422: There is no field title")},
)
for ahead, where in ((3600, "ahead of"), (-3600, "behind")):
    clocks = f"its clock is 3600 s {where} this one: let both follow a time server"
    row(
        f"a clock {ahead} s ahead that refuses our signature",
        stamped(ahead, 401, {"title": "too old"}),
        push={CHECK: (None, clocks), WRITE: (NeedsCredentials, clocks)},
    )


@pytest.mark.parametrize(
    ("told", "speaker", "asked", "kind", "words"),
    [
        pytest.param(
            told, speaker, asked, kind, words, id=f"{trouble}-{speaker}-{asked}"
        )
        for trouble, told, speaker, asked, kind, words in ROWS
    ],
)
def test_what_is_answered_is_of_one_kind_and_says_what_to_do(
    patient: Transport,
    told: Respond,
    speaker: str,
    asked: str,
    kind: type | None,
    words: str,
) -> None:
    asks = SPEAKERS[speaker]
    with LoopbackServer(told) as server:
        connector = asks.connect(patient, server.url)
        if asked == CHECK:
            fine, says = connector.check()
            assert not fine
        else:
            outcome: Any = (
                connector.write(asks.update)
                if asked == WRITE
                else connector.changes_since(TABLE[speaker], asks.cursor)
            )
            assert kind is not None
            assert isinstance(outcome, kind), outcome
            says = outcome.detail
    assert words in says
    assert "s3cret" not in says


# --- what is no outcome of one request ----------------------------------------------


@pytest.mark.parametrize("seconds", [-3600, 3600])
@pytest.mark.parametrize("speaker", ["rest", "push"])
def test_a_check_tells_of_a_clock_that_is_far_off(
    patient: Transport, speaker: str, seconds: float
) -> None:
    """Of an instance `examine` does; that no change is lost is in the conformance
    runs."""
    with LoopbackServer(stamped(seconds, 200, {})) as server:
        fine, says = SPEAKERS[speaker].connect(patient, server.url).check()
    assert fine
    where = "ahead of" if seconds > 0 else "behind"
    assert f"its clock is 3600 s {where} this one" in says


def test_an_empty_page_in_the_middle_of_polling_loses_nothing(
    patient: Transport,
) -> None:
    """A described system that shows none of its records for a moment."""
    tickets = [
        {"id": n, "version": 1, "title": "x", "updated_at": "2026-11-24T10:00:05Z"}
        for n in range(1, 52)
    ]
    shown = [document({"tickets": page}) for page in (tickets[:50], [], tickets[50:])]
    asks = SPEAKERS["rest"]

    def respond(line: Any, request: Any) -> bool:
        is_list = request.target.startswith("/tickets?")
        told = shown.pop(0) if is_list else document({"comments": [], "files": []})
        return told(line, request)

    told: list[str] = []
    cursor: Any = asks.cursor
    with LoopbackServer(respond) as server:
        connector = asks.connect(patient, server.url)
        while shown:
            came = connector.changes_since("ticket", cursor)
            assert isinstance(came, Changes)
            told += [each.record.record_id for each in came.records]
            cursor = came.cursor
    assert sorted(map(int, told)) == list(range(1, 52))
