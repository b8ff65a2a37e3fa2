from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict
from werkzeug.http import parse_options_header

from rps.http.cursor import CursorRefused, decode, encode, limit, page_links

BIGINTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40
)


def cursor_of(body: bytes) -> str:
    return urlsafe_b64encode(body).rstrip(b"=").decode()


@given(st.lists(BIGINTS | TEXTS, max_size=4).map(tuple))
@settings(max_examples=200, deadline=None)
def test_a_cursor_brings_its_values_back(values: tuple[int | str, ...]) -> None:
    text = encode(values)

    assert decode(text, tuple(map(type, values))) == values
    assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "!",
        "a",
        "WzEsImEiXQ==",
        "WzEs ImEiXQ",
        "WzEsImEiXR",
        "é",
        "\0",
        "\ud800",
        "W" * 2052,
        cursor_of(b""),
        cursor_of(b"{}"),
        cursor_of(b"null"),
        cursor_of(b"[]"),
        cursor_of(b"[1]"),
        cursor_of(b'["a",1]'),
        cursor_of(b'[1,"a",2]'),
        cursor_of(b'[1, "a"]'),
        cursor_of(b'[true,"a"]'),
        cursor_of(b'[1.0,"a"]'),
        cursor_of(b'[1,["a"]]'),
        cursor_of(b'[1,"\\u0000"]'),
        cursor_of(b'[1,"\\ud800"]'),
        cursor_of(b'[9223372036854775808,"a"]'),
        cursor_of(b'[1,"\xff"]'),
        cursor_of(b"[NaN]"),
        cursor_of(b"[" * 1000),
    ],
)
def test_foreign_cursors_are_refused(text: str) -> None:
    with pytest.raises(CursorRefused) as caught:
        decode(text, (int, str))

    assert caught.value.parameter == "cursor"


@given(st.text(max_size=60) | st.binary(max_size=60).map(cursor_of))
@settings(max_examples=100, deadline=None)
def test_any_text_is_our_cursor_or_refused(text: str) -> None:
    try:
        values = decode(text, (int, str))
    except CursorRefused:
        return
    assert encode(values) == text


def test_values_too_long_for_a_cursor_are_the_programmers_error() -> None:
    assert decode(encode(("x" * 1500,)), (str,)) == ("x" * 1500,)
    with pytest.raises(ValueError, match="2672 characters"):
        encode(("x" * 2000,))


def test_the_link_keeps_the_query_and_replaces_the_cursor() -> None:
    args = MultiDict([("status", "error"), ("status", "ready"), ("cursor", "old")])

    assert page_links("http://node/v1/queue", args, "WzFd") == (
        '<http://node/v1/queue?status=error&status=ready&cursor=WzFd>; rel="next"'
    )


@given(st.text(), st.text(), st.text())
@settings(max_examples=200, deadline=None)
def test_nobody_writes_headers_through_the_link(path: str, key: str, text: str) -> None:
    path = path.encode(errors="replace").decode()
    link = page_links(f"http://node/{path}", MultiDict([(key, text)]), "WzFd")

    assert link.isascii()
    assert link.isprintable()
    assert link.count("<") == link.count(">") == 1
    assert link.endswith('cursor=WzFd>; rel="next"')
    assert parse_options_header(link)[1] == {"rel": "next"}


@pytest.mark.parametrize(
    ("text", "rows"), [(None, 50), ("1", 1), ("200", 200), ("007", 7)]
)
def test_a_limit_says_how_many_rows(text: str | None, rows: int) -> None:
    assert limit(text) == rows


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "201", "1.5", "1e2", " 5", "5 ", "+5", "٣", "²", "x", "9" * 9999],
)
def test_a_limit_that_is_no_page_is_refused(text: str) -> None:
    with pytest.raises(CursorRefused) as caught:
        limit(text)

    assert caught.value.parameter == "limit"
    assert "1 to 200" in caught.value.detail


def test_a_list_may_have_its_own_limits() -> None:
    assert limit(None, default=5, most=1000) == 5
    assert limit("1000", most=1000) == 1000
