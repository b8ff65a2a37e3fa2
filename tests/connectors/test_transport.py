"""What a request can come to, on a real server that misbehaves."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from loopback_server import LOOPBACK, Line, LoopbackServer, Received, answer, raw

from rps.connectors.exchange import IDLE_SECONDS
from rps.connectors.transport import Answer, NoAnswer, NotSent, Transport


def post(
    transport: Transport, server: LoopbackServer, body: bytes = b"{}", **options: bool
) -> Answer | NotSent | NoAnswer:
    return transport.request("POST", server.url + "/messages", {}, body, **options)


def reset(line: Line, _: Received) -> bool:
    line.reset()
    return False


def close(_line: Line, _: Received) -> bool:
    return False


def echo(line: Line, request: Received) -> bool:
    return answer(200, request.body)(line, request)


class Clock:
    """The real clock, which can be put forward."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def test_an_answer_has_status_headers_and_body(transport: Transport) -> None:
    with LoopbackServer(answer(201, b"made", [("Retry-After", "3")])) as server:
        headers = {"X-Sync-Hop": "2"}
        said = transport.request("POST", server.url + "/m?q=1", headers, b"body")
    assert isinstance(said, Answer)
    assert (said.status, said.body) == (201, b"made")
    assert said.headers["retry-after"] == "3"
    received = server.received[0]
    assert (received.method, received.target) == ("POST", "/m?q=1")
    assert received.body == b"body"
    assert received.headers["x-sync-hop"] == "2"
    assert received.headers["host"] == f"127.0.0.1:{server.port}"


def test_one_connection_serves_many_requests(transport: Transport) -> None:
    with LoopbackServer(echo) as server:
        for number in range(5):
            said = post(transport, server, b"%d" % number)
            assert isinstance(said, Answer)
            assert said.body == b"%d" % number
    assert server.connections == 1


def test_many_threads_get_each_its_own_answer(patient: Transport) -> None:
    def exchange(number: int) -> bool:
        said = post(patient, server, b"%d" % number)
        return isinstance(said, Answer) and said.body == b"%d" % number

    with LoopbackServer(echo) as server, ThreadPoolExecutor(16) as threads:
        assert all(threads.map(exchange, range(400)))
    assert server.connections <= 16


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer(transport: Transport, status: int) -> None:
    with LoopbackServer(answer(200)) as elsewhere:
        location = [("Location", elsewhere.url)]
        with LoopbackServer(answer(status, headers=location)) as server:
            said = post(transport, server)
    assert isinstance(said, Answer)
    assert said.status == status
    assert elsewhere.connections == 0


def test_nothing_is_sent_to_a_port_nobody_listens_on(transport: Transport) -> None:
    with LoopbackServer(answer(200)) as server:
        pass
    said = post(transport, server)
    assert isinstance(said, NotSent)
    assert "refused" in said.detail.lower()


def test_a_header_that_would_end_early_is_not_sent(transport: Transport) -> None:
    with LoopbackServer(answer(200)) as server:
        said = transport.request("POST", server.url, {"X-Sync-Hop": "1\r\nX: y"}, b"")
    assert isinstance(said, NotSent)
    assert server.received == []


@pytest.mark.parametrize(
    "respond",
    [
        reset,
        close,
        raw(b"SSH-2.0-OpenSSH_9.9\r\n", keep=False),
        raw(b"HTTP/1.1 200 OK\r\n", keep=False),
        raw(b"HTTP/1.1 200 OK\r\nX: y\r\n", keep=False),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le", keep=False),
        raw(b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort", keep=False),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", keep=False),
        raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", keep=False
        ),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n", keep=False),
        raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", keep=False),
    ],
)
def test_a_request_without_a_whole_answer_stays_uncertain(
    patient: Transport, respond: object
) -> None:
    with LoopbackServer(respond) as server:  # type: ignore[arg-type]
        said = post(patient, server)
    assert isinstance(said, NoAnswer)
    assert len(server.received) == 1
    assert "SSH" not in said.detail


def test_a_cut_while_sending_stays_uncertain(patient: Transport) -> None:
    def cut(line: Line) -> None:
        line.connected.recv(1000)
        line.reset()

    with LoopbackServer(on_connect=cut) as server:
        said = post(patient, server, b"x" * 5_000_000)
    assert isinstance(said, NoAnswer)


def drip_headers(line: Line, _: Received) -> bool:
    line.drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: y\r\n" * 50)
    return False


def drip_body(line: Line, _: Received) -> bool:
    line.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    line.drip(b"x" * 500)
    return False


def drip_chunks(line: Line, _: Received) -> bool:
    line.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    line.drip(b"1\r\nx\r\n" * 100)
    return False


def drip_interim(line: Line, _: Received) -> bool:
    line.drip(b"HTTP/1.1 102 Processing\r\n\r\n" * 20)
    return False


def hang(line: Line, _: Received) -> bool:
    line.hang()
    return False


@pytest.mark.parametrize(
    "respond", [drip_headers, drip_body, drip_chunks, drip_interim, hang]
)
def test_a_slow_answer_ends_at_the_deadline(
    transport: Transport, respond: object
) -> None:
    with LoopbackServer(respond) as server:  # type: ignore[arg-type]
        started = time.monotonic()
        said = post(transport, server, retry_safe=True)
        took = time.monotonic() - started
    assert isinstance(said, NoAnswer)
    assert 0.35 < took < 2.0


def test_a_receiver_that_does_not_read_ends_at_the_deadline(
    transport: Transport,
) -> None:
    with LoopbackServer(on_connect=Line.hang) as server:
        started = time.monotonic()
        said = post(transport, server, b"x" * 20_000_000)
        took = time.monotonic() - started
    assert isinstance(said, NoAnswer)
    assert took < 2.0


def test_sending_may_take_longer_than_connecting() -> None:
    def slow(line: Line) -> None:
        line.stopping.wait(0.3)
        while not line.connected.recv(1_000_000).endswith(b"end"):
            pass
        line.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    transport = Transport(LOOPBACK, connect_seconds=0.1, total_seconds=10)
    with LoopbackServer(on_connect=slow) as server:
        said = post(transport, server, b"x" * 20_000_000 + b"end")
    assert isinstance(said, Answer)


def test_a_slow_resolver_ends_with_the_time_for_connecting() -> None:
    answered = threading.Event()

    def slow(_host: str, _port: int) -> list[str]:
        answered.wait(10)
        return ["127.0.0.1"]

    transport = Transport(LOOPBACK, connect_seconds=0.2, resolve=slow)
    started = time.monotonic()
    said = transport.request("GET", "http://slow.test/", {})
    took = time.monotonic() - started
    answered.set()
    assert isinstance(said, NotSent)
    assert took < 2.0


def test_the_first_address_that_connects_is_used() -> None:
    with LoopbackServer(answer(200)) as server:
        transport = Transport(LOOPBACK, resolve=lambda *_: ["127.0.0.3", "127.0.0.1"])
        said = transport.request("GET", f"http://two.test:{server.port}/", {})
    assert isinstance(said, Answer)
    assert server.received[0].headers["host"] == f"two.test:{server.port}"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100000000", b"Connection: close", b"X: y"]
)
def test_of_an_endless_answer_the_start_is_kept_and_the_connection_dropped(
    patient: Transport, framing: bytes
) -> None:
    def flood(line: Line, _: Received) -> bool:
        line.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        line.flood(megabytes=100)
        return False

    with LoopbackServer(flood, answer(204)) as server:
        said = post(patient, server)
        after = post(patient, server)
    assert isinstance(said, Answer)
    assert said.body == b"x" * 65536
    assert isinstance(after, Answer)
    assert after.status == 204
    assert server.connections == 2


def test_an_answer_of_exactly_the_limit_is_whole(patient: Transport) -> None:
    with LoopbackServer(answer(200, b"y" * 65536)) as server:
        said = post(patient, server)
        post(patient, server)
    assert isinstance(said, Answer)
    assert said.body == b"y" * 65536
    assert server.connections == 1


def test_what_follows_a_lying_length_is_not_the_next_answer(
    patient: Transport,
) -> None:
    lie = raw(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 410 Gone\r\n\r\n"
    )
    with LoopbackServer(lie, answer(201, b"real")) as server:
        first = post(patient, server)
        second = post(patient, server)
    assert isinstance(first, Answer)
    assert first.body == b"ok"
    assert isinstance(second, Answer)
    assert (second.status, second.body) == (201, b"real")


def test_interim_answers_are_not_taken_for_the_answer(patient: Transport) -> None:
    """http.client skips 100 only; after a 103 every answer came one request late."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfinal"
    with LoopbackServer(raw(hints + final)) as server:
        for _ in range(2):
            said = post(patient, server)
            assert isinstance(said, Answer)
            assert (said.status, said.body) == (200, b"final")
    assert server.connections == 1


def test_a_connection_closed_while_idle_is_not_used_again(patient: Transport) -> None:
    closing = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", keep=False)
    with LoopbackServer(closing, answer(200)) as server:
        post(patient, server)
        assert server.closed.acquire(timeout=5)
        said = post(patient, server)
    assert isinstance(said, Answer)
    assert len(server.received) == 2


def test_a_connection_idle_for_long_is_not_used_again() -> None:
    clock = Clock()
    transport = Transport(LOOPBACK, clock=clock)
    with LoopbackServer(answer(200)) as server:
        post(transport, server)
        clock.ahead += IDLE_SECONDS / 2
        post(transport, server)
        assert server.connections == 1
        clock.ahead += IDLE_SECONDS
        post(transport, server)
    assert server.connections == 2


def test_a_reset_on_a_used_connection_is_uncertain(patient: Transport) -> None:
    with LoopbackServer(answer(200), reset, answer(200)) as server:
        post(patient, server)
        said = post(patient, server)
    assert isinstance(said, NoAnswer)
    assert len(server.received) == 2


def test_a_repeatable_request_is_tried_once_more_on_a_new_connection(
    patient: Transport,
) -> None:
    with LoopbackServer(answer(200), reset, answer(202)) as server:
        post(patient, server)
        said = post(patient, server, b"same", retry_safe=True)
    assert isinstance(said, Answer)
    assert said.status == 202
    assert [request.body for request in server.received[1:]] == [b"same", b"same"]
    assert server.connections == 2


def test_the_second_try_does_not_take_another_idle_connection(
    patient: Transport,
) -> None:
    """A server that restarted has closed them all."""
    both = threading.Barrier(2, timeout=5)
    answered: list[Line] = []

    def once_each(line: Line, request: Received) -> bool:
        if line in answered:
            return reset(line, request)
        answered.append(line)
        if len(server.received) <= 2:
            both.wait()
        return answer(200)(line, request)

    with LoopbackServer(once_each) as server:
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda _: post(patient, server), range(2)))
        said = post(patient, server, retry_safe=True)
    assert isinstance(said, Answer)
    assert server.connections == 3


def test_a_repeatable_request_is_not_tried_a_third_time(patient: Transport) -> None:
    with LoopbackServer(answer(200), reset) as server:
        post(patient, server)
        said = post(patient, server, retry_safe=True)
        fresh = post(patient, server, retry_safe=True)
    assert isinstance(said, NoAnswer)
    assert isinstance(fresh, NoAnswer)
    assert len(server.received) == 1 + 2 + 1


def test_a_second_try_that_does_not_leave_keeps_the_first_uncertain(
    patient: Transport,
) -> None:
    def reset_and_stop(line: Line, _: Received) -> bool:
        server.stop()
        line.reset()
        return False

    with LoopbackServer(answer(200), reset_and_stop) as server:
        post(patient, server)
        said = post(patient, server, retry_safe=True)
    assert isinstance(said, NoAnswer)
    assert "refused" in said.detail.lower()
