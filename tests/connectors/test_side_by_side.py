"""Many requests under way in one thread: each gets its own answer or its own loss."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import requests
from loopback_server import LOOPBACK, Line, LoopbackServer, Received, answer, raw

from rps.connectors.transport import (
    Adapter,
    Answer,
    NoAnswer,
    NotSent,
    Request,
    Said,
    Transport,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from pathlib import Path


def echo(line: Line, request: Received) -> bool:
    return answer(200, request.body)(line, request)


def reset(line: Line, _: Received) -> bool:
    line.reset()
    return False


def posts(
    server: LoopbackServer, bodies: Iterable[bytes], *, retry_safe: bool = False
) -> list[Request]:
    url = f"{server.url}/messages"
    return [Request("POST", url, {}, body, retry_safe) for body in bodies]


def sent(transport: Transport, asked: list[Request]) -> list[Said]:
    told = [pair for came in transport.send_many(asked) for pair in came]
    assert sorted(place for place, _ in told) == list(range(len(asked)))
    return [said for _, said in sorted(told, key=lambda pair: pair[0])]


def test_each_gets_its_own_answer(patient: Transport) -> None:
    bodies = [b"%d" % number for number in range(100)]
    with LoopbackServer(echo) as server:
        for _ in range(3):
            said = sent(patient, posts(server, bodies))
            assert [s.body for s in said if isinstance(s, Answer)] == bodies
    assert server.connections <= 100


def test_a_slow_one_holds_up_no_other(patient: Transport) -> None:
    release = threading.Event()

    def wait(line: Line, request: Received) -> bool:
        if request.body == b"slow":
            release.wait(10)
        return echo(line, request)

    with LoopbackServer(wait) as server:
        asked = posts(server, [b"slow", *[b"%d" % n for n in range(20)]])
        came: list[int] = []
        for told in patient.send_many(asked):
            came += [place for place, _ in told]
            if len(came) == 20:
                release.set()
    assert came[-1] == 0
    assert sorted(came) == list(range(21))


def test_each_has_its_own_deadline(transport: Transport) -> None:
    def hang(line: Line, request: Received) -> bool:
        if request.body == b"hang":
            line.hang()
            return False
        return echo(line, request)

    with LoopbackServer(hang) as server:
        started = time.monotonic()
        said = sent(transport, posts(server, [b"1", b"hang", b"2", b"hang"]))
        took = time.monotonic() - started
    assert [type(s) for s in said] == [Answer, NoAnswer, Answer, NoAnswer]
    assert took < 2.0


def test_a_loss_is_its_own(patient: Transport) -> None:
    def lose(line: Line, request: Received) -> bool:
        return (reset if request.body == b"lose" else echo)(line, request)

    with LoopbackServer(lose) as server:
        said = sent(patient, posts(server, [b"1", b"lose", b"2", b"3"]))
    assert [type(s) for s in said] == [Answer, NoAnswer, Answer, Answer]


def test_after_a_restart_all_are_tried_on_new_connections(patient: Transport) -> None:
    """The server has closed every connection that was open before."""
    old: set[Line] = set()
    restarted = threading.Event()

    def respond(line: Line, request: Received) -> bool:
        if not restarted.is_set():
            old.add(line)
        return (reset if restarted.is_set() and line in old else echo)(line, request)

    bodies = [b"%d" % number for number in range(12)]
    with LoopbackServer(respond) as server:
        for _ in range(4):
            sent(patient, posts(server, bodies))
        restarted.set()
        said = sent(patient, posts(server, bodies, retry_safe=True))
        assert [s.body for s in said if isinstance(s, Answer)] == bodies
        uncertain = sent(patient, posts(server, bodies))
    assert all(isinstance(s, Answer) for s in uncertain)


def test_where_nobody_listens_nothing_is_sent(patient: Transport) -> None:
    with LoopbackServer(echo) as server:
        pass
    said = sent(patient, posts(server, [b"1"] * 20))
    assert all(isinstance(s, NotSent) for s in said)


def test_large_bodies_and_answers_go_both_ways(patient: Transport) -> None:
    """More than the sockets hold: sending goes on while answers come in."""
    with LoopbackServer(answer(200, b"y" * 60_000)) as server:
        said = sent(patient, posts(server, [b"x" * 3_000_000] * 4))
    assert all(isinstance(s, Answer) and len(s.body) == 60_000 for s in said)
    assert {len(request.body) for request in server.received} == {3_000_000}


def test_one_that_cannot_be_sent_holds_up_no_other(patient: Transport) -> None:
    with LoopbackServer(echo) as server:
        asked = posts(server, [b"1", b"2"])
        odd = Request("POST", f"{server.url}/m", {"X": "1\r\nY: 2"}, b"")
        said = sent(patient, [asked[0], odd, Request("GET", "ftp://x", {}), asked[1]])
    assert [type(s) for s in said] == [Answer, NotSent, NotSent, Answer]


def test_many_over_tls(certificate: Path, tls: ssl.SSLContext) -> None:
    transport = Transport(
        LOOPBACK, authorities=certificate.read_text(), resolve=lambda *_: ["127.0.0.1"]
    )
    bodies = [b"%d" % number * 9000 for number in range(10)]
    with LoopbackServer(echo, tls=tls) as server:
        url = f"https://receiver.test:{server.port}/"
        for _ in range(2):
            said = sent(transport, [Request("POST", url, {}, body) for body in bodies])
            assert [s.body for s in said if isinstance(s, Answer)] == bodies
    transport.close()


def test_the_adapter_serves_a_session_of_requests() -> None:
    answered = raw(
        b"HTTP/1.1 201 Made\r\nX-One: 1\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nm\xc3\xbc\r\n0\r\n\r\n"
    )
    with LoopbackServer(answered) as server, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", Adapter(LOOPBACK))
        for _ in range(2):
            said = session.post(server.url + "/x", json={"a": 1}, timeout=5)
            assert (said.status_code, said.text) == (201, "mü")
            assert said.headers["x-one"] == "1"
    assert server.connections == 1
    assert server.received[0].body == b'{"a": 1}'
    assert server.received[0].headers["host"] == f"127.0.0.1:{server.port}"
