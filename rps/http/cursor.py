"""Where a list goes on: opaque cursors for keyset pages, and the `Link` to the next.

A cursor holds the sort values of the last row shown. It is no secret and no proof:
whoever makes one up sees only rows he may see anyway.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import orjson

from rps.http import json_body

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

Value = int | str

CURSOR_CHARACTERS = 2048
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_URL_SAFE = ":/?#[]@!$&'()*+,;=%~"


class CursorRefused(ValueError):
    """A `cursor` or `limit` that is not ours; `parameter` says which of them."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(parameter, detail)
        self.parameter = parameter
        self.detail = detail


def encode(values: tuple[Value, ...]) -> str:
    """Write the last row's sort values as a cursor of at most 2048 characters.

    Raises ValueError where they are longer: sort by shorter columns. Integers are
    those of a bigint; text holds no NUL.
    """
    text = urlsafe_b64encode(orjson.dumps(values)).rstrip(b"=").decode()
    if len(text) > CURSOR_CHARACTERS:
        raise ValueError(f"sort values make a cursor of {len(text)} characters")
    return text


def decode(text: str, kinds: tuple[type[Value], ...]) -> tuple[Value, ...]:
    """Read what `encode` wrote, one value of each of `kinds`, or CursorRefused."""
    values = _values(text)
    if tuple(map(type, values)) != kinds or encode(values) != text:
        raise _foreign()
    return values


def page_links(url: str, query_args: MultiDict[str, str], next_cursor: str) -> str:
    """Give the `Link` header that leads to the next page of the list at `url`.

    `query_args` are those of this page (`request.args`), `url` is without them
    (`request.base_url`).
    """
    pairs = [pair for pair in query_args.items(multi=True) if pair[0] != "cursor"]
    query = urlencode([*pairs, ("cursor", next_cursor)], errors="replace")
    return f'<{quote(url, safe=_URL_SAFE)}?{query}>; rel="next"'


def limit(text: str | None, default: int = 50, most: int = 200) -> int:
    """Read how many rows a page has, `default` where nobody says, or CursorRefused."""
    if text is None:
        return default
    # As few digits as `most` has: int() is slow on very many.
    digits = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not digits or not 1 <= int(text) <= most:
        raise CursorRefused("limit", f"give a whole number 1 to {most}")
    return int(text)


def _values(text: str) -> tuple[Value, ...]:
    if len(text) > CURSOR_CHARACTERS or not _ALPHABET.fullmatch(text):
        raise _foreign()
    try:
        values = json_body.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, json_body.BodyRefused):
        raise _foreign() from None
    if not isinstance(values, list):
        raise _foreign()
    return tuple(values)


def _foreign() -> CursorRefused:
    return CursorRefused("cursor", "give a cursor from the Link header of this list")
