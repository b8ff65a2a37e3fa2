"""A request whose body is of any length goes out piece by piece."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from typing import TYPE_CHECKING

from loopback_server import LoopbackServer, answer

from rps.connectors.transport import Answer, NoAnswer, NotSent, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.connectors.transport import Transport

PIECE = b"x" * 1_000_000


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield PIECE


def test_the_body_arrives_as_it_was_given(patient: Transport) -> None:
    with LoopbackServer(answer(201, b'{"result": {}}')) as server:
        request = Request("POST", f"{server.url}/file", {"Content-Type": "image/png"})
        said = patient.upload(request, 5, lambda: iter((b"abc", b"de")))
        assert isinstance(said, Answer)
        assert (said.status, said.body) == (201, b'{"result": {}}')
        assert server.received[0].body == b"abcde"
        assert server.received[0].headers["content-length"] == "5"


def test_a_large_file_is_never_in_memory(patient: Transport) -> None:
    """As 2 GB would be: only a piece of it is held."""
    taken = [0]
    listening = socket.create_server(("127.0.0.1", 0))

    def swallow() -> None:
        connected, _ = listening.accept()
        with connected:
            while taken[0] < 200_000_000:
                taken[0] += len(connected.recv(1 << 20))
            connected.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")

    thread = threading.Thread(target=swallow)
    thread.start()
    request = Request("POST", f"http://127.0.0.1:{listening.getsockname()[1]}/", {})
    tracemalloc.start()
    said = patient.upload(request, 200_000_000, lambda: pieces(200))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    thread.join()
    listening.close()
    assert isinstance(said, Answer)
    assert said.status == 201
    assert taken[0] > 200_000_000
    assert most < 10_000_000


def test_who_refuses_it_before_its_end_is_heard(patient: Transport) -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connected, _ = listening.accept()
        with connected:
            connected.recv(1 << 16)
            connected.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
            connected.shutdown(socket.SHUT_WR)
            while connected.recv(1 << 20):
                pass

    thread = threading.Thread(target=refuse)
    thread.start()
    request = Request("POST", f"http://127.0.0.1:{listening.getsockname()[1]}/", {})
    said = patient.upload(request, 50_000_000, lambda: pieces(50))
    thread.join()
    listening.close()
    assert isinstance(said, Answer)
    assert said.status == 413


def test_fewer_bytes_than_announced_are_not_known_to_have_failed(
    patient: Transport,
) -> None:
    with LoopbackServer(answer(201, b"{}")) as server:
        request = Request("POST", f"{server.url}/file", {})
        said = patient.upload(request, 5, lambda: iter((b"abc",)))
        assert isinstance(said, NoAnswer)


def test_nobody_there_means_nothing_was_sent(patient: Transport) -> None:
    said = patient.upload(
        Request("POST", "http://127.0.0.1:1/", {}), 3, lambda: iter((b"abc",))
    )
    assert isinstance(said, NotSent)
