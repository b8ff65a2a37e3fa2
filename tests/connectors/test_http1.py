"""An answer is read the same however it is cut up, and taken whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rps.connectors.http1 import Reading, Target, Unreadable, request_bytes, target

LIMIT = 100

ANSWERS = {
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, b"ok", True),
    b"HTTP/1.1 200\r\nContent-Length: 2, 2\r\n\r\nok": (200, b"ok", True),
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok": (200, b"ok", True),
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok": (200, b"ok", False),
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n": (
        200,
        b"",
        True,
    ),
    b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok": (
        200,
        b"ok",
        False,
    ),
    b"HTTP/1.1 204 None\r\n\r\n": (204, b"", True),
    b"HTTP/1.1 101 Switch\r\n\r\n": (101, b"", False),
    b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 H\r\nA: b\r\n\r\nHTTP/1.1 204 N\r\n\r\n": (
        204,
        b"",
        True,
    ),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b"2;a=b\r\nok\r\n003\r\n, y\r\n0\r\nX: y\r\n\r\n": (200, b"ok, y", True),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n"
    b"2\r\nok\r\n0\r\n\r\n": (200, b"ok", False),
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n": (200, b"", True),
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100: (
        200,
        b"x" * 100,
        True,
    ),
}

UNREADABLE = [
    b"SSH-2.0\r\n\r\n",
    b"HTTP/2 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 099 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n: c\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n folded first\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: \rb\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
    b"HTTP/1.1 100 C\r\n\r\n" * 10_000,
]


def read(data: bytes, cuts: list[int]) -> tuple[int, bytes, bool]:
    reading = Reading(LIMIT)
    at = 0
    for cut in [*sorted(cuts), len(data)]:
        part, at = data[at:cut], max(at, cut)
        if part and reading.feed(part):
            assert at == len(data)
            return reading.status, reading.body, reading.keeps
    reading.end()
    return reading.status, reading.body, reading.keeps


@pytest.mark.parametrize("data", ANSWERS, ids=range(len(ANSWERS)))
def test_an_answer_byte_by_byte(data: bytes) -> None:
    assert read(data, list(range(len(data)))) == ANSWERS[data]


@given(st.sampled_from(list(ANSWERS)), st.lists(st.integers(0, 120), max_size=5))
def test_an_answer_cut_anywhere(data: bytes, cuts: list[int]) -> None:
    assert read(data, [min(cut, len(data)) for cut in cuts]) == ANSWERS[data]


@pytest.mark.parametrize("data", UNREADABLE, ids=range(len(UNREADABLE)))
@pytest.mark.parametrize("step", [7, 1_000_000])
def test_what_is_no_answer_is_not_taken(data: bytes, step: int) -> None:
    with pytest.raises(Unreadable):
        read(data, list(range(0, len(data), step)))


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_whatever_comes_is_read_or_refused(junk: bytes, cuts: list[int]) -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + junk
    reading = Reading(LIMIT)
    at = 0
    try:
        for cut in [*sorted(cuts), len(data)]:
            if reading.feed(data[at:cut]):
                break
            at = max(at, cut)
        else:
            reading.end()
    except Unreadable:
        return
    assert reading.status == 200
    assert len(reading.body) <= LIMIT


@pytest.mark.parametrize("framing", [b"Content-Length: 500", b"X: y"])
def test_more_than_the_limit_costs_the_connection(framing: bytes) -> None:
    reading = Reading(LIMIT)
    assert reading.feed(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + b"x" * 101)
    assert (reading.body, reading.keeps) == (b"x" * 100, False)


def test_more_than_the_limit_in_small_chunks() -> None:
    reading = Reading(LIMIT)
    reading.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert [reading.feed(b"1\r\nx\r\n") for _ in range(101)] == [False] * 100 + [True]
    assert (reading.body, reading.keeps) == (b"x" * 100, False)


def test_until_the_connection_ends() -> None:
    assert read(b"HTTP/1.1 200 OK\r\n\r\nall of it", []) == (200, b"all of it", False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
    ],
)
def test_half_an_answer_is_none(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read(data, [])


def test_a_request_is_one_piece() -> None:
    to = target("http://[::1]:8080/a/b?c=%20d#e")
    assert to == Target("http", "::1", 8080, "/a/b?c=%20d", "[::1]:8080")
    assert request_bytes("POST", to, {"A": "b"}, b"body") == (
        b"POST /a/b?c=%20d HTTP/1.1\r\nHost: [::1]:8080\r\nA: b\r\n"
        b"Content-Length: 4\r\n\r\nbody"
    )


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\r\nB: c", "a\0b", "ł"])
def test_a_header_that_is_more_than_one_is_refused(value: str) -> None:
    to = target("https://example.test")
    assert isinstance(to, Target)
    with pytest.raises(ValueError):  # noqa: PT011 - the text is not the subject
        request_bytes("GET", to, {"A": value}, b"")
