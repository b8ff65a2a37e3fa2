"""The log as lines that leave the node, and read again without one.

NDJSON, one of these a line:

    {"key": "name+id+base64", "succession": "…"}        keys, oldest first
    {"checkpoint": "…"}                                 signed notes, smallest first
    {"after": {"position", "hash", "tree"}}             where a part of the log begins
    {"selection": {…}}                                  of what it is a selection
    {"position", "stream", "version", "topic", "at", "hash", "event"}
    {"head": {"position", "hash"}}                      the last line of a log
    {"end": {"events"}}                                 the last line of a selection

In a selection events have also `previous`, the hash of the event before, and `proof`,
its way to the root of the one checkpoint. `event` is what is stored, byte for byte. A
line that does not say exactly what would be written for it was changed.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from rps.log.chain import Row
from rps.log.note import Note, PublicKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NDJSON, CSV = "ndjson", "csv"
LINE_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """A public key of the log, and the word of the one before it ("" of the first)."""

    public: PublicKey
    succession: str


@dataclass(frozen=True, slots=True)
class After:
    """Where a part of the log begins: its events come after this position. `tree`: the
    roots of the full parts of the tree up to there."""

    position: int
    hash: bytes
    tree: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """Of what the events are a selection, by name."""

    of: dict[str, str]


@dataclass(frozen=True, slots=True)
class Proven:
    """An event with its way to a checkpoint's root."""

    row: Row
    previous: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ended; the line without which an export was cut."""

    position: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class End:
    """How many events a selection has."""

    events: int


@dataclass(frozen=True, slots=True)
class Unread:
    """A line that nobody wrote like this."""

    line: int
    detail: str


Item = Key | Note | After | Selection | Row | Proven | Head | End
Read = Item | Unread

_NUMBER = rb"(0|[1-9][0-9]{0,18})"
_HASH = rb"([0-9a-f]{64})"
_EVENT = re.compile(
    rb'\{"position":' + _NUMBER + rb',"stream":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-'
    rb'[0-9a-f]{12})","version":' + _NUMBER + rb',"topic":"([^"\\]{1,200})"'
    rb',"at":"([^"\\]{0,60})","hash":"'
    + _HASH
    + rb'",(?:"previous":"'
    + _HASH
    # possessive: a line that fits nowhere fails at once
    + rb'","proof":\[((?:"[0-9a-f]{64}",?)*+)\],)?"event":(\{.*+)',
    re.DOTALL,
)
_STAMP = b'{"timestamp":{"_type_":"datetime_iso","_data_":"%s"'
_COLUMNS = (
    "kind",
    "position",
    "stream",
    "version",
    "topic",
    "at",
    "hash",
    "previous",
    "proof",
    "content",
)


# --- writing --------------------------------------------------------------------------


def line_of(item: Item) -> bytes:
    """As NDJSON, with the newline."""
    match item:
        case Row():
            return _event_line(item, {})
        case Proven(row, previous, proof):
            way = {"previous": previous.hex(), "proof": [each.hex() for each in proof]}
            return _event_line(row, way)
        case _:
            kind, said = _plain(item)
            return _dumped({kind: said} if kind != "key" else said)


def csv_of(items: Iterable[Item]) -> Iterator[bytes]:
    """As CSV (RFC 4180): the first column tells the kind of row, the last one holds the
    event as it is stored, or what NDJSON has on such a line."""
    yield _row_of(_COLUMNS)
    for item in items:
        match item:
            case Row():
                yield _row_of(_event_columns(item, "", ""))
            case Proven(row, previous, proof):
                way = " ".join(each.hex() for each in proof)
                yield _row_of(_event_columns(row, previous.hex(), way))
            case _:
                content = line_of(item).decode().removesuffix("\n")
                yield _row_of(("other", *[""] * 8, content))


def written(items: Iterable[Item], form: str) -> Iterator[bytes]:
    return csv_of(items) if form == CSV else map(line_of, items)


def at_of(state: bytes) -> str:
    """When an event happened, as it is stored; "" where somebody changed that."""
    try:
        return str(orjson.loads(state)["timestamp"]["_data_"])
    except (ValueError, KeyError, TypeError):
        return ""


def _shown(state: bytes) -> bytes:
    """What is stored, byte for byte; what is no JSON any more, as something else: that
    it was changed is found all the same."""
    try:
        orjson.loads(state)
    except ValueError:
        return b'{"unreadable":"%s"}' % state.hex().encode()
    return state


def _event_line(row: Row, way: dict[str, Any]) -> bytes:
    return _dumped(
        {
            "position": row.position,
            "stream": row.originator_id,
            "version": row.version,
            "topic": row.topic,
            "at": at_of(row.state),
            "hash": row.hash.hex(),
            **way,
            "event": orjson.Fragment(_shown(row.state)),
        }
    )


def _event_columns(row: Row, previous: str, proof: str) -> tuple[object, ...]:
    about = (row.position, row.originator_id, row.version, row.topic)
    at, state = at_of(row.state), _shown(row.state).decode()
    return ("event", *about, at, row.hash.hex(), previous, proof, state)


def _plain(item: Key | Note | After | Selection | Head | End) -> tuple[str, Any]:
    match item:
        case Key(public, succession):
            return "key", {"key": str(public), "succession": succession}
        case Note():
            return "checkpoint", str(item)
        case After(position, digest, tree):
            roots = [each.hex() for each in tree]
            return "after", {"position": position, "hash": digest.hex(), "tree": roots}
        case Selection(of):
            return "selection", of
        case Head(position, digest):
            return "head", {"position": position, "hash": digest.hex()}
        case End(events):
            return "end", {"events": events}


def _dumped(said: Any) -> bytes:
    return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)


def _row_of(columns: Iterable[object]) -> bytes:
    """RFC 4180, and the one way to write a row: quoted only where it has to be."""
    return f"{','.join(_cell(str(each)) for each in columns)}\r\n".encode()


def _cell(text: str) -> str:
    if '"' in text or "," in text or "\r" in text or "\n" in text:
        quoted = text.replace('"', '""')
        return f'"{quoted}"'
    return text


# --- reading --------------------------------------------------------------------------


def read(lines: Iterable[bytes]) -> Iterator[Read]:
    """What an export says, NDJSON or CSV; each line as it came, with its newline."""
    coming = iter(lines)
    first = next(coming, b"")
    if first.rstrip(b"\r\n") == ",".join(_COLUMNS).encode():
        yield from _read_csv(coming)
        return
    if first:
        yield _item(first, 1)
    for number, line in enumerate(coming, start=2):
        yield _item(line, number)


def _read_csv(lines: Iterable[bytes]) -> Iterator[Read]:
    csv.field_size_limit(LINE_BYTES_MAX)
    for number, line in enumerate(lines, start=2):
        try:
            (columns,) = csv.reader([line.decode()], strict=True)
        except (UnicodeDecodeError, csv.Error, ValueError):
            yield Unread(number, "the line is no row of an export")
            continue
        if _row_of(columns) != line or len(columns) != len(_COLUMNS):
            yield Unread(number, "the line is not what was written")
            continue
        yield _item_of_csv(columns, number)


def _item_of_csv(columns: list[str], number: int) -> Read:
    kind, *about, previous, proof, content = columns
    if kind == "other":
        if any((*about, previous, proof)):
            return Unread(number, "the line is not what was written")
        return _item(f"{content}\n".encode(), number)
    position, stream, version, topic, at, digest = about
    way = ""
    if previous:
        hashes = ",".join(f'"{each}"' for each in proof.split())
        way = f'"previous":"{previous}","proof":[{hashes}],'
    line = (
        f'{{"position":{position},"stream":"{stream}","version":{version},'
        f'"topic":"{topic}","at":"{at}","hash":"{digest}",{way}"event":{content}}}\n'
    )
    if kind != "event" or " ".join(proof.split()) != proof:
        return Unread(number, "the line is not what was written")
    return _item(line.encode(), number)


def _item(line: bytes, number: int) -> Read:
    found: Item | None
    if line.startswith(b'{"position":'):
        found = _event(line)
    else:
        try:
            found = _other(orjson.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError):
            found = None
        if found is not None and line_of(found) != line:
            found = None
    return found or Unread(number, "the line is not what was written")


def _event(line: bytes) -> Row | Proven | None:
    shape = _EVENT.fullmatch(line)
    if shape is None or not line.endswith(b"}}\n"):
        return None
    position, stream, version, topic, at, digest, previous, proof, rest = shape.groups()
    state = rest[:-2]
    try:
        if not state.startswith(_STAMP % at) and at_of(state) != at.decode():
            return None
        row = Row(
            *(int(position), UUID(stream.decode()), int(version), topic.decode()),
            *(state, bytes.fromhex(digest.decode())),
        )
        if previous is None:
            return row
        return Proven(row, bytes.fromhex(previous.decode()), _hashes(proof))
    except (ValueError, TypeError, KeyError):
        return None


def _hashes(proof: bytes) -> tuple[bytes, ...]:
    """Raises ValueError."""
    listed = proof.decode().split(",") if proof else []
    return tuple(bytes.fromhex(each[1:-1]) for each in listed)


def _other(said: dict[str, Any]) -> Item | None:
    """The item on a line that is no event's; raises what a strange one makes it."""
    match said:
        case {"key": key, "succession": succession}:
            return Key(PublicKey.of(key), str(succession))
        case {"checkpoint": note}:
            return Note.of(note)
        case {"after": after}:
            tree = tuple(bytes.fromhex(each) for each in after["tree"])
            return After(after["position"], bytes.fromhex(after["hash"]), tree)
        case {"selection": dict(of)}:
            return Selection(of)
        case {"head": head}:
            return Head(head["position"], bytes.fromhex(head["hash"]))
        case {"end": end}:
            return End(end["events"])
        case _:
            return None
