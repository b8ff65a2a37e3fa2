"""The one door for JSON from outside: request bodies, answers of systems, streams.

Good input is parsed by orjson and looked over once. Whatever that look cannot clear,
and whatever orjson does not take, is examined exactly (and slowly) by `_refusal`, which
also finds the place. The refusals follow RFC 8259 and what PostgreSQL's text and jsonb
can hold.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Place = str | int

_INTEGER_BOUND = 2**63
_INTEGER_DIGITS = 20  # more cannot be in bounds, and int() is slow on very many
_CHUNK_BYTES = 64 * 1024
_POINTER_CHARACTERS = 256
_BLANK = b" \t\r\n"
# Possessive: a megabyte of escapes must not become a megabyte of backtracking points.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_BRACKET = re.compile(_STRING.pattern + rb"|[\[\]{}]", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")

_STATUS = {
    "empty": 400,
    "byte-order-mark": 400,
    "not-utf8": 400,
    "not-json": 400,
    "not-a-number": 400,
    "body-too-large": 413,
    "duplicate-key": 422,
    "integer-out-of-range": 422,
    "lone-surrogate": 422,
    "nul-character": 422,
    "number-out-of-range": 422,
    "string-too-long": 422,
    "too-deep": 422,
    "too-many-nodes": 422,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """`depth` counts open arrays and objects, `nodes` values; strings are UTF-8."""

    max_bytes: int = 1024 * 1024
    depth: int = 32
    nodes: int = 10_000
    string_bytes: int = 64 * 1024


DEFAULT = Limits()


class BodyRefused(ValueError):
    """JSON that does not come in.

    `status` is 400 where it is not JSON at all, 413 where it has too many bytes, 422
    where it is JSON that rps does not take. `place` is a JSON pointer (RFC 6901, cut
    at 256 characters, "" is the whole) or, where no pointer can be known (not JSON,
    too deep, too large), the byte offset. `detail` quotes nothing of the body.
    """

    def __init__(self, status: int, code: str, place: Place, detail: str) -> None:
        super().__init__(status, code, place, detail)
        self.status = status
        self.code = code
        self.place = place
        self.detail = detail


class Stream(Protocol):
    """What `lines` reads from; an empty answer is the end."""

    def read(self, size: int, /) -> bytes: ...


def decode(body: bytes, *, limits: Limits = DEFAULT) -> Any:
    """Give the value of `body`, equal to what `json.loads` gives, or BodyRefused.

    Integers are -2^63 to 2^63-1; 1e19 is a float and passes.
    """
    if len(body) > limits.max_bytes:
        raise _too_large(limits)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise (
            _refusal(body, limits) or _refused("not-json", 0, "this is not JSON")
        ) from None
    if not _is_plain(body, value, limits) and (refusal := _refusal(body, limits)):
        raise refusal
    return value


def lines(
    stream: Stream, limits: Limits = DEFAULT
) -> Iterator[tuple[int, Any | BodyRefused]]:
    """Read NDJSON: (line number from 1, value or that line's refusal), one at a time.

    A line has at most `limits.max_bytes`; a longer one is skipped to its end. Blank
    lines are counted and not given. Holds one line and one chunk of 64 KiB.
    """
    for number, line in enumerate(_split(stream, limits.max_bytes), start=1):
        if line is None:
            yield number, _too_large(limits)
        elif line.strip(_BLANK):
            yield number, _value_or_refusal(bytes(line), limits)


def pointer(path: Iterable[str | int]) -> str:
    """Write `path` as a JSON pointer (RFC 6901), cut at 256 characters."""
    text = "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1") for part in path
    )
    if len(text) > _POINTER_CHARACTERS:
        return text[: _POINTER_CHARACTERS - 1] + "…"
    return text


def _is_plain(body: bytes, value: Any, limits: Limits) -> bool:
    """Whether nothing needs a closer look; never true for a body to be refused."""
    if b"\\u0000" in body:  # orjson has refused the raw byte
        return False
    if len(body) > limits.string_bytes and _longest(body) > limits.string_bytes:
        return False
    keys = _count_keys(value, limits)
    return keys is not None and not _has_duplicates(body, keys)


def _longest(body: bytes) -> int:
    """Bound the bytes of the longest string from above, as written.

    What a string stands for is never longer than what is written. A quote inside a
    string follows a backslash, so no string is cut in two here.
    """
    return max(map(len, body.replace(b'\\"', b"--").split(b'"')))


def _count_keys(value: Any, limits: Limits) -> int | None:
    """Count the keys of all objects; None where depth, size or a number is doubtful.

    orjson makes a float of an integer past 64 bits, so large floats are doubtful too.
    """
    keys = nodes = depth = 0
    level = [value]
    while level:
        nodes += len(level)
        depth += 1
        below: list[Any] = []
        containers = False
        for item in level:
            kind = type(item)
            if kind is str:
                continue
            if kind is dict:
                containers = True
                keys += len(item)
                below += item.values()
            elif kind is list:
                containers = True
                below += item
            elif item and not -_INTEGER_BOUND < item < _INTEGER_BOUND:
                return None
        if nodes > limits.nodes or (containers and depth > limits.depth):
            return None
        level = below
    return keys


def _has_duplicates(body: bytes, keys: int) -> bool:
    """Whether a valid `body` has more members than the `keys` left after parsing.

    White space apart, each member's colon follows a quote, so these pairs are at least
    as many as the members; only where strings hold such pairs too is it counted again.
    """
    if body.translate(None, _BLANK).count(b'":') == keys:
        return False
    return _STRING.sub(b"", body).count(b":") != keys


def _refusal(body: bytes, limits: Limits) -> BodyRefused | None:
    """Say exactly what is wrong with `body`, None where nothing is."""
    if not body.strip(_BLANK):
        return _refused("empty", 0, "there is no JSON here")
    if body.startswith(b"\xef\xbb\xbf"):
        return _refused("byte-order-mark", 0, "JSON starts without a byte order mark")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        return _refused("not-utf8", error.start, "this byte is not UTF-8")
    offset = _too_deep_at(body, limits.depth)
    if offset is not None:
        detail = f"arrays and objects nest at most {limits.depth} deep"
        return _refused("too-deep", offset, detail)
    try:
        root = _AS_WRITTEN.decode(text)
    except json.JSONDecodeError as error:
        return _refused("not-json", len(text[: error.pos].encode()), error.msg)
    return _first_wrong(root, limits)


def _too_deep_at(body: bytes, depth: int) -> int | None:
    """Find the byte offset of the first bracket that opens too much."""
    opened = 0
    for found in _BRACKET.finditer(body):
        token = found[0]
        if token in (b"[", b"{"):
            opened += 1
            if opened > depth:
                return found.start()
        elif token in (b"]", b"}"):
            opened -= 1
    return None


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Stands in the tree for a number that is refused."""

    code: str
    detail: str


class _Members(list[tuple[str, Any]]):
    """An object as written, with the keys it repeats."""


def _integer(text: str) -> int | _Wrong:
    if len(text) <= _INTEGER_DIGITS:
        number = int(text)
        if -_INTEGER_BOUND <= number < _INTEGER_BOUND:
            return number
    return _Wrong("integer-out-of-range", "integers are -2^63 to 2^63-1")


def _fraction(text: str) -> float | _Wrong:
    number = float(text)
    if math.isinf(number):
        return _Wrong("number-out-of-range", "no double is that large")
    return number


def _constant(text: str) -> _Wrong:
    return _Wrong("not-a-number", f"JSON has no {text}")


_AS_WRITTEN = json.JSONDecoder(
    object_pairs_hook=_Members,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)


def _nodes(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[Any, Any]]:
    """Walk in document order; recursion is bounded, the depth has been checked."""
    yield path, value
    if isinstance(value, _Members):
        for key, item in value:
            yield from _nodes(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nodes(item, (*path, index))


def _first_wrong(root: Any, limits: Limits) -> BodyRefused | None:
    for count, (path, value) in enumerate(_nodes(root, ()), start=1):
        if count > limits.nodes:
            detail = f"a body has at most {limits.nodes} values"
            return _refused("too-many-nodes", pointer(path), detail)
        wrong: _Wrong | None = None
        if isinstance(value, _Wrong):
            wrong = value
        elif isinstance(value, str):
            wrong = _wrong_text(value, limits)
        elif isinstance(value, _Members):
            # The object is named, not the key: a pointer could not be written.
            wrong = _wrong_key(value, limits)
            if wrong is None and (repeated := _repeated(value)) is not None:
                detail = "an object names each key once"
                return _refused("duplicate-key", pointer((*path, repeated)), detail)
        if wrong is not None:
            return _refused(wrong.code, pointer(path), wrong.detail)
    return None


def _wrong_text(text: str, limits: Limits) -> _Wrong | None:
    if "\0" in text:
        return _Wrong("nul-character", "text holds no NUL character")
    if _SURROGATE.search(text):
        return _Wrong("lone-surrogate", "a surrogate stands only in a pair")
    if len(text.encode()) > limits.string_bytes:
        detail = f"a string has at most {limits.string_bytes} bytes in UTF-8"
        return _Wrong("string-too-long", detail)
    return None


def _wrong_key(members: _Members, limits: Limits) -> _Wrong | None:
    return next(filter(None, (_wrong_text(key, limits) for key, _ in members)), None)


def _repeated(members: _Members) -> str | None:
    seen: set[str] = set()
    for key, _ in members:
        if key in seen:
            return key
        seen.add(key)
    return None


def _refused(code: str, place: Place, detail: str) -> BodyRefused:
    return BodyRefused(_STATUS[code], code, place, detail)


def _too_large(limits: Limits) -> BodyRefused:
    detail = f"at most {limits.max_bytes} bytes"
    return _refused("body-too-large", limits.max_bytes, detail)


def _value_or_refusal(line: bytes, limits: Limits) -> Any | BodyRefused:
    try:
        return decode(line, limits=limits)
    except BodyRefused as refused:
        return refused


def _split(stream: Stream, most: int) -> Iterator[bytearray | None]:
    """Give each line without its end; None for one of more than `most` bytes."""
    held: bytearray | None = bytearray()
    while chunk := stream.read(_CHUNK_BYTES):
        first, *more = chunk.split(b"\n")
        held = _grown(held, first, most)
        for part in more:
            yield held
            held = _grown(bytearray(), part, most)
    if held is None or held:
        yield held


def _grown(held: bytearray | None, part: bytes, most: int) -> bytearray | None:
    if held is None or len(held) + len(part) > most:
        return None
    held += part
    return held
