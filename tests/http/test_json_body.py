from __future__ import annotations

import io
import json
import math
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rps.http.json_body import BodyRefused, Limits, decode, lines, pointer

DEEP = 32
NODES = 10_000
TEXT = 64 * 1024
MIB = 1024 * 1024

Refusal = tuple[int, str, str | int]

HOSTILE: list[tuple[bytes, Refusal]] = [
    # nothing there
    (b"", (400, "empty", 0)),
    (b" \r\n\t", (400, "empty", 0)),
    # not UTF-8
    (b"\xff", (400, "not-utf8", 0)),
    (b'{"a":"\xff"}', (400, "not-utf8", 6)),
    (b'"\xc0\x80"', (400, "not-utf8", 1)),
    (b'"\xed\xa0\x80"', (400, "not-utf8", 1)),
    (b'"\xf4\x90\x80\x80"', (400, "not-utf8", 1)),
    (b'"\xe2\x82', (400, "not-utf8", 1)),
    ('{"a":"é"}'.encode("latin-1"), (400, "not-utf8", 6)),
    ('{"a":1}'.encode("utf-16"), (400, "not-utf8", 0)),
    (b"\xef\xbb\xbf{}", (400, "byte-order-mark", 0)),
    (b"\xef\xbb\xbf", (400, "byte-order-mark", 0)),
    # not JSON
    (b"\x00", (400, "not-json", 0)),
    (b"{}\x00", (400, "not-json", 2)),
    ('{"a":1}'.encode("utf-16-le"), (400, "not-json", 1)),
    (b"{} {}", (400, "not-json", 3)),
    (b"[]]", (400, "not-json", 2)),
    (b"[1,]", (400, "not-json", 3)),
    (b"[1 2]", (400, "not-json", 3)),
    (b'{"a":1,}', (400, "not-json", 7)),
    (b'{"a"}', (400, "not-json", 4)),
    (b"{a:1}", (400, "not-json", 1)),
    (b"{'a':1}", (400, "not-json", 1)),
    (b"{1:1}", (400, "not-json", 1)),
    (b"[", (400, "not-json", 1)),
    (b"{", (400, "not-json", 1)),
    (b'"a', (400, "not-json", 0)),
    (b'["\xc3\xa9" x]', (400, "not-json", 6)),
    (b"01", (400, "not-json", 1)),
    (b"+1", (400, "not-json", 0)),
    (b"-", (400, "not-json", 0)),
    (b".5", (400, "not-json", 0)),
    (b"1.", (400, "not-json", 1)),
    (b"1e", (400, "not-json", 1)),
    (b"0x10", (400, "not-json", 1)),
    (b"1_000", (400, "not-json", 1)),
    ("\u0661".encode(), (400, "not-json", 0)),
    (b"True", (400, "not-json", 0)),
    (b"nul", (400, "not-json", 0)),
    (b"undefined", (400, "not-json", 0)),
    (b'"\\x41"', (400, "not-json", 1)),
    (b'"\\u12"', (400, "not-json", 2)),
    (b'"\x00"', (400, "not-json", 1)),
    (b'"\n"', (400, "not-json", 1)),
    (b'"\x1f"', (400, "not-json", 1)),
    (b"\x0c1", (400, "not-json", 0)),
    ("\u00a01".encode(), (400, "not-json", 0)),
    (b"// 1\n1", (400, "not-json", 0)),
    (b"a=1&b=2", (400, "not-json", 0)),
    (b"<a/>", (400, "not-json", 0)),
    # not numbers
    (b"NaN", (400, "not-a-number", "")),
    (b"[1,NaN]", (400, "not-a-number", "/1")),
    (b'{"a":{"b":Infinity}}', (400, "not-a-number", "/a/b")),
    (b'{"a":-Infinity}', (400, "not-a-number", "/a")),
    # numbers that do not fit
    (b"1e400", (422, "number-out-of-range", "")),
    (b'{"a":[0,-1e400]}', (422, "number-out-of-range", "/a/1")),
    (b"1.7976931348623159e308", (422, "number-out-of-range", "")),
    (b"9" * 400 + b".5", (422, "number-out-of-range", "")),
    (b"9223372036854775808", (422, "integer-out-of-range", "")),
    (b"-9223372036854775809", (422, "integer-out-of-range", "")),
    (b"18446744073709551615", (422, "integer-out-of-range", "")),
    (b"18446744073709551616", (422, "integer-out-of-range", "")),
    (b'{"n":[100000000000000000000]}', (422, "integer-out-of-range", "/n/0")),
    (b"9" * 5000, (422, "integer-out-of-range", "")),
    (b"-" + b"9" * (MIB - 1), (422, "integer-out-of-range", "")),
    # text that cannot be kept
    (b'"\\u0000"', (422, "nul-character", "")),
    (b'{"a":["x","a\\u0000b"]}', (422, "nul-character", "/a/1")),
    (b'{"a":{"\\u0000":1}}', (422, "nul-character", "/a")),
    (b'"\\\\\\u0000"', (422, "nul-character", "")),
    (b'"\\ud800"', (422, "lone-surrogate", "")),
    (b'{"a":"\\udc00"}', (422, "lone-surrogate", "/a")),
    (b'"\\udc00\\ud800"', (422, "lone-surrogate", "")),
    (b'"\\ud800\\ud800\\udc00"', (422, "lone-surrogate", "")),
    (b'{"\\ud800":1}', (422, "lone-surrogate", "")),
    # keys named twice
    (b'{"a":1,"a":1}', (422, "duplicate-key", "/a")),
    (b'{"a":1,"\\u0061":2}', (422, "duplicate-key", "/a")),
    (b'{"":1,"":2}', (422, "duplicate-key", "/")),
    (b'[{"x":{"b/c":1,"d":2,"b/c":3}}]', (422, "duplicate-key", "/0/x/b~1c")),
    (b'{"a" :1,"a"\t:2,"x":"\\":"}', (422, "duplicate-key", "/a")),
    (b'{"a"\n:1,"a"\r:2,"x":" : \\" :"}', (422, "duplicate-key", "/a")),
    (b'{"a":1,"a":2,"x":":"}', (422, "duplicate-key", "/a")),
    (b'{"a":1,"a":2,"x":"\\":"}', (422, "duplicate-key", "/a")),
    (b'{"a\\\\":1,"a\\\\":2}', (422, "duplicate-key", "/a\\")),
    (b"{" + b'"a":1,' * 100_000 + b'"a":1}', (422, "duplicate-key", "/a")),
    # too much
    (b"[" * 33 + b"]" * 33, (422, "too-deep", DEEP)),
    (b"[" * 32 + b"{}" + b"]" * 32, (422, "too-deep", DEEP)),
    (b'{"[":' * 33 + b"1" + b"}" * 33, (422, "too-deep", 5 * DEEP)),
    (b"[" * 100_000, (422, "too-deep", DEEP)),
    (b'{"a":' * 100_000, (422, "too-deep", 5 * DEEP)),
    (b"[" * 500_000 + b"]" * 500_000, (422, "too-deep", DEEP)),
    (b"[" + b"1," * (NODES - 1) + b"1]", (422, "too-many-nodes", "/9999")),
    (b"[" + b"[]," * 200_000 + b"[]]", (422, "too-many-nodes", "/9999")),
    (b'["' + b"x" * (TEXT + 1) + b'"]', (422, "string-too-long", "/0")),
    (b'["' + "é".encode() * (TEXT // 2 + 1) + b'"]', (422, "string-too-long", "/0")),
    (b'["' + b'\\"' * (TEXT + 1) + b'"]', (422, "string-too-long", "/0")),
    (b'["' + b"\\n" * 500_000 + b'"]', (422, "string-too-long", "/0")),
    (b'[{"' + b"k" * (TEXT + 1) + b'":1}]', (422, "string-too-long", "/0")),
    (b'"' + b" " * MIB + b'"', (413, "body-too-large", MIB)),
    (b" " * (MIB + 1), (413, "body-too-large", MIB)),
]

TAKEN: list[bytes] = [
    b"{}",
    b" [] \r\n",
    b"null",
    b"-0",
    b"-0.0",
    b"1e5",
    b"1e-400",
    b"1e19",
    b"-1e300",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"12345678901234567890.5",
    b'"\\ud83d\\ude00"',
    b'"\\\\u0000"',
    b'"\\\\u0000\\\\ud800"',
    '"\u2028\U0001f600\x7f\'"'.encode(),
    b'{"a":"\\":", "b" : " :", "c":{"a":":","b":1}}',
    b'{"a\\\\":1,"a\\"":2,"a":3}',
    b'{"A":1,"a":2}',
    b"[" * 32 + b"1" + b"]" * 32,
    b'{"a":"' + b"[" * 100 + b'"}',
    b"[" + b"1," * (NODES - 2) + b"1]",
    b'["' + b"x" * TEXT + b'"]',
    b'["' + "é".encode() * (TEXT // 2) + b'","",""]',
    b'["' + b"\\u0041" * TEXT + b'"]',
    b'["' + b'\\\\\\":' * 15_000 + b'"]',
    b"[" + b" " * (2 * TEXT) + b"]",
]


def refusal(body: bytes, limits: Limits | None = None) -> BodyRefused:
    with pytest.raises(BodyRefused) as caught:
        decode(body, limits=limits or Limits())
    return caught.value


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down (1 is not 1.0 nor True)."""
    return repr(one) == repr(other)


@pytest.mark.parametrize(
    ("body", "expected"), HOSTILE, ids=lambda case: repr(case)[:40]
)
def test_hostile_bodies_are_refused_with_their_place(
    body: bytes, expected: Refusal
) -> None:
    refused = refusal(body)

    assert (refused.status, refused.code, refused.place) == expected
    assert refused.detail


@pytest.mark.parametrize("body", TAKEN, ids=lambda body: repr(body)[:40])
def test_everything_within_the_limits_is_taken_as_it_is(body: bytes) -> None:
    assert same(decode(body), json.loads(body))


def test_there_are_at_least_sixty_hostile_bodies() -> None:
    assert len({body for body, _ in HOSTILE}) >= 60


def test_limits_are_the_callers() -> None:
    tight = Limits(max_bytes=20, depth=1, nodes=3, string_bytes=4)

    assert decode(b'["abcd",1]', limits=tight) == ["abcd", 1]
    assert refusal(b'["abcde"]', tight).code == "string-too-long"
    assert refusal(b"[[]]", tight).code == "too-deep"
    assert refusal(b"[1,2,3]", tight).code == "too-many-nodes"
    assert refusal(b" " * 21, tight).code == "body-too-large"


def test_refusals_quote_nothing_of_the_body_but_keys() -> None:
    for body, _ in HOSTILE:
        assert "secret" not in refusal(b'{"a":"secret",' + body).detail


def test_places_stay_short_whatever_the_keys() -> None:
    key = b"k" * 60_000
    refused = refusal(b'{"' + key + b'":{"' + key + b'":NaN}}')

    assert isinstance(refused.place, str)
    assert len(refused.place) == 256


def test_pointers_escape_what_rfc_6901_says() -> None:
    assert pointer(()) == ""
    assert pointer(("a/b", "m~n", 0, "", "~1")) == "/a~1b/m~0n/0//~01"


def test_no_hostile_body_of_a_mebibyte_takes_long() -> None:
    """The slowest ones take a quarter of a second; backtracking would take hours."""
    worst = [
        b'"' + b"\\" * (MIB - 1),
        b'"' * MIB,
        b"[]" * (MIB // 2),
        b'["' + b'\\":' * 300_000 + b'"]',
        b'["' + b"\\ud800" * 170_000 + b'"]',
        b"0." + b"0" * (MIB - 6) + b"1e9",
        b"1e-" + b"9" * (MIB - 3),
        b'{"a":"' + b"\\n" * 500_000,
    ]
    started = time.process_time()

    for body in worst:
        try:
            decode(body)
        except BodyRefused as refused:
            assert refused.status in {400, 422}  # noqa: PT017  two may be taken

    assert time.process_time() - started < 10


# Bodies near JSON: what random bytes never reach.
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *(b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b" ", b"\t", b"\n"),
            *(b'"a":', b'"a" :', b'"\\u0061":', b'"a"', b'\\":', b'"\\\\":', b'" :"'),
            *(b"\\u0000", b"\\ud800", b"\\udc00", b"\xff", b"\xc3\xa9", b"\x00"),
            *(b"1", b"-0", b"1e400", b"-1e400", b"NaN", b"Infinity", b"-Infinity"),
            *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809"),
            *(b"18446744073709551616", b"1e19", b"0.1", b"true", b"null", b"[[[["),
        ]
    ),
    max_size=30,
).map(b"".join)
TEXTS = st.text(st.sampled_from('a\\": \0\ud800\U0001f600é/\n[{'), max_size=6)
MEMBERS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.sampled_from([2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 1e19, -(2.0**63)])
    | TEXTS,
    lambda below: (
        st.lists(below, max_size=4)
        | st.lists(st.tuples(TEXTS, below), max_size=4).map(tuple)
    ),
    max_leaves=25,
)


def written(value: Any, gap: str) -> str:
    """JSON of `value`, where a tuple of pairs is an object that may repeat keys."""
    if isinstance(value, tuple):
        members = (
            f"{json.dumps(key, ensure_ascii='a' in key)}{gap}:{gap}{written(item, gap)}"
            for key, item in value
        )
        return "{" + f",{gap}".join(members) + "}"
    if isinstance(value, list):
        return "[" + f"{gap},".join(written(item, gap) for item in value) + "]"
    return json.dumps(value)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    if isinstance(value, dict):
        return [*value, *strings(list(value.values()))]
    return []


def numbers(value: Any) -> list[float]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int | float):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [n for item in value for n in numbers(item)] if isinstance(value, list) else []
    )


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key is repeated")
    return dict(pairs)


def taken_by_the_plain_reading(body: bytes) -> bool:
    """The rules once more, slowly, over what `json` says."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=unique)
        text = "".join(strings(value))
        text.encode()
    except (ValueError, RecursionError):
        return False
    return "\0" not in text and all(
        -(2**63) <= n < 2**63 if isinstance(n, int) else math.isfinite(n)
        for n in numbers(value)
    )


def check(body: bytes) -> None:
    try:
        value = decode(body)
    except BodyRefused as refused:
        assert refused.code == "too-deep" or not taken_by_the_plain_reading(body)  # noqa: PT017
    else:
        assert taken_by_the_plain_reading(body)
        assert same(value, json.loads(body))


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    check(body)


@given(FRAGMENTS)
@example(b'{"a" :1,"a" :2,"x":"\\":"}')
@settings(max_examples=400, deadline=None)
def test_near_json_is_taken_exactly_when_the_rules_say_so(body: bytes) -> None:
    check(body)


@given(MEMBERS, st.sampled_from(["", " ", "\n\t"]))
@example((("a", 1), ("a", 2)), "")
@settings(max_examples=400, deadline=None)
def test_json_is_taken_exactly_when_the_rules_say_so(value: Any, gap: str) -> None:
    check(written(value, gap).encode(errors="surrogatepass"))


class Drip(io.RawIOBase):
    """A stream that gives less than it is asked for, and remembers the most it was."""

    def __init__(self, body: bytes, step: int) -> None:
        self.body = io.BytesIO(body)
        self.step = step
        self.most = 0

    def read(self, size: int = -1, /) -> bytes:
        self.most = max(self.most, size)
        return self.body.read(min(size, self.step))


def answers(stream: Any, limits: Limits | None = None) -> list[tuple[int, Any]]:
    return [
        (number, value.code if isinstance(value, BodyRefused) else value)
        for number, value in lines(stream, limits or Limits())
    ]


@pytest.mark.parametrize("step", [1, 2, 7, 100_000])
def test_each_line_of_a_stream_is_taken_or_refused_alone(step: int) -> None:
    body = b'{"a":1}\r\n\n  \n[1,\n"\xff"\n{"a":1,"a":2}\n"\\u0000"\n2'

    assert answers(Drip(body, step)) == [
        (1, {"a": 1}),
        (4, "not-json"),
        (5, "not-utf8"),
        (6, "duplicate-key"),
        (7, "nul-character"),
        (8, 2),
    ]


@pytest.mark.parametrize("step", [1, 5, 64])
def test_a_line_too_long_is_skipped_to_its_end(step: int) -> None:
    body = b"1\n" + b"9" * 11 + b"\n" + b"2" * 10 + b"\n" + b"3" * 500

    assert answers(Drip(body, step), Limits(max_bytes=10)) == [
        (1, 1),
        (2, "body-too-large"),
        (3, 2222222222),
        (4, "body-too-large"),
    ]


def test_a_stream_is_read_as_it_is_consumed() -> None:
    stream = Drip(b"1\n" * 1_000_000, 100_000_000)
    taken = lines(stream)

    assert next(taken) == (1, 1)
    assert stream.most <= 64 * 1024
    assert stream.body.tell() <= 64 * 1024


def test_an_empty_stream_has_no_lines() -> None:
    assert answers(io.BytesIO(b"")) == []
    assert answers(io.BytesIO(b"\n \n")) == []
    assert answers(io.BytesIO(b"1")) == [(1, 1)]


@given(st.lists(st.binary(max_size=12), max_size=8), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_streams_split_where_the_lines_end(parts: list[bytes], step: int) -> None:
    body = b"\n".join(parts)
    expected = [
        number
        for number, line in enumerate(body.split(b"\n"), start=1)
        if line.strip(b" \t\r\n")
    ]

    assert [number for number, _ in answers(Drip(body, step))] == expected
