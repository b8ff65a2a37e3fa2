"""Files of a shared record: which of those a member shows are news, and may travel.

A grow-only set keyed by (origin member, its id), like journal entries; each element has
versions. As with fields, what a member is known to hold tells an echo from an edit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from rps.domain import events
from rps.domain.aggregate import identity_text
from rps.domain.between_nodes import NODE
from rps.domain.problem import listed, shown
from rps.domain.state import newer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from rps.domain.agreement import Member, SharedAttachments
    from rps.domain.correlation import Correlation
    from rps.domain.events import ChangeCaptured
    from rps.domain.plan import Case
    from rps.domain.state import Attached, CorrelationState

File = dict[str, Any]

NAME_BYTES_MAX = 255
"""As file systems have it."""
ANY_TYPE = "application/octet-stream"

NOT_READ = blake2b(b"a file that is refused is not fetched", digest_size=32).hexdigest()
"""Stands for the SHA-256 of what nobody reads."""

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_TYPE_LENGTH_MAX = 127
# Line ends of every kind, and what turns the rest of a line round: "gpj.exe" read as
# "exe.jpg".
_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]"
)
_UNITS = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))


@dataclass(slots=True)
class Taken:
    """What a judgement found about files: those that are part of the shared record from
    now on, the entries in which people read of those that are not, and the files of
    which the member itself has to be told."""

    files: list[File] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    back: list[File] = field(default_factory=list)


def taken(record: Correlation, case: Case) -> Taken:
    """Judge the files that a captured change shows, and record what came of it."""
    terms, captured = case.definition.attachments, case.captured
    if terms is None or not case.member.attachments or not captured.attachments:
        return Taken()
    look = _Look(record, case, terms)
    refused = [each for offer in captured.attachments for each in look.at(offer)]
    if look.files or look.seen:
        record.happened(
            events.AttachmentsShared,
            case.now,
            sequence=case.sequence,
            change_id=captured.change_id,
            member=captured.member,
            attachments=list(look.files.values()),
            seen=look.seen,
        )
    notes = [_note(case, terms, *each) for each in refused]
    told = {each["id"]: each for each in notes if each["id"] not in record.entry_ids}
    for (file, reason), note in zip(refused, notes, strict=True):
        if note["id"] in told:
            record.happened(
                events.AttachmentRefused,
                case.now,
                sequence=case.sequence,
                change_id=captured.change_id,
                member=captured.member,
                attachment=file,
                entry_id=note["id"],
                reason=reason,
            )
    files = list(look.files.values())
    crossed = look.late | _crossed(record, captured, files)
    back = [file for file in files if file["id"] in crossed]
    return Taken(files, list(told.values()), back)


class _Look:
    """A member's files, one after the other, beside those that are shared."""

    def __init__(
        self, state: CorrelationState, case: Case, terms: SharedAttachments
    ) -> None:
        self._state = state
        self._member = case.captured.member
        self._system = case.captured.system
        self._is_node = case.captured.source == NODE
        self._obeys = case.captured.if_match is not None
        self._is_older = _is_older(state, case.captured)
        self._terms = terms
        self.files: dict[str, File] = {}
        self.seen: list[dict[str, Any]] = []
        self.late: set[str] = set()
        """Those changed by who had not heard of the last content: it is told again."""

    def at(self, offer: Mapping[str, Any]) -> Iterator[tuple[File, str]]:
        """Take in one of them; yields it with the reason where it is refused."""
        place = self._place(offer)
        known = self._state.attached.get(place.key)
        now = self.files.get(place.key) or (known.shown if known else None)
        if offer.get("deleted"):
            if now is not None and not self._is_late(offer, now):
                self._removed(place, now, known)
        elif now is None:
            if twin := self._twin(offer):
                self._has(place._replace(key=twin), offer["sha256"])
            else:
                yield from self._new(offer, place, None)
        elif self._is_edit(offer, place, now, known):
            if self._is_late(offer, now):
                self.late.add(place.key)
            yield from self._new(offer, place, now)

    def _place(self, offer: Mapping[str, Any]) -> _Place:
        """A file that we wrote comes back under the id we gave it, or under one that
        the member gave it; one of the member's own has an id of its own. A node says
        which it is, as its ids look like ours."""
        offered: str = offer["id"]
        ours = offered in self._state.attached
        if ours and self._is_node and offer.get("yours"):
            return _Place(offered, "")
        if named := self._state.attached_as.get((self._member, offered)):
            return _Place(named, offered)
        if ours and not self._is_node:
            return _Place(offered, "")
        return _Place(f"{self._member}:{offered}", offered)

    def _is_edit(
        self, offer: Mapping[str, Any], place: _Place, now: File, known: Attached | None
    ) -> bool:
        """Whether a person changed its content there. Else it is what we know, or what
        the member had before a message that is under way."""
        sha256 = offer["sha256"]
        if known is None or place.key in self.files:
            return bool(sha256 != now["sha256"])
        if self._member in known.held and known.held[self._member] == sha256:
            return False
        if sha256 == now["sha256"] and not (
            known.deleted and self._member in known.held
        ):
            self._has(place, sha256)
            return False
        return True

    def _removed(self, place: _Place, now: File, known: Attached | None) -> None:
        if known is not None and known.held.get(self._member, "") is None:
            return
        self._has(place, None)
        if self._terms.deletion and not now.get("deleted"):
            version = now["version"] + 1
            self.files[place.key] = {**now, "version": version, "deleted": True}

    def _twin(self, offer: Mapping[str, Any]) -> str | None:
        """A file of another member's with this name and content, which the one who
        shows it got from us and keeps under an id of its own."""
        if self._is_node:
            return None
        for key, file in self._state.attached.items():
            if (
                not file.deleted
                and self._member not in file.known_as
                and (file.shown["name"], file.shown["sha256"])
                == (offer["name"], offer["sha256"])
            ):
                return key
        return None

    def _has(self, place: _Place, sha256: str | None) -> None:
        self.seen.append({"id": place.key, "as": place.own, "sha256": sha256})

    def _is_late(self, offer: Mapping[str, Any], now: File) -> bool:
        """Whether the member did this before it had the content that is shared now.
        Nodes count versions alike; the one that decides is never late."""
        if self._obeys:
            return False
        if self._is_node:
            return bool(offer.get("version", 0) <= now["version"])
        return self._is_older

    def _new(
        self, offer: Mapping[str, Any], place: _Place, now: File | None
    ) -> Iterator[tuple[File, str]]:
        file = {
            "id": place.key,
            "name": offer["name"],
            "size": offer["size"],
            "type": _type_of(offer),
            "sha256": offer["sha256"],
            "version": self._version_of(offer, now),
            "system": self._system,
        }
        if reason := refusal(self._terms, file):
            yield file, reason
        else:
            self.files[place.key] = file
            self._has(place, offer["sha256"])

    def _version_of(self, offer: Mapping[str, Any], now: File | None) -> int:
        """A second file of a name, with another content, is its next version."""
        told: int = offer.get("version", 0) if self._is_node else 0
        if told and (now is None or self._obeys):
            return told
        if now is not None:
            after: int = now["version"] + 1
            return max(told, after)
        own, name = f"{self._member}:", offer["name"]
        versions = [
            file["version"]
            for key, file in (
                *((k, each.shown) for k, each in self._state.attached.items()),
                *self.files.items(),
            )
            if file["name"] == name and key.startswith(own)
        ]
        return max(versions, default=0) + 1


class _Place(NamedTuple):
    """A file by our id, and by the member's own one, "" where it uses ours."""

    key: str
    own: str


def is_refused(terms: Collection[SharedAttachments], file: Mapping[str, Any]) -> bool:
    """Whether the terms of no definition let the file pass: nobody has to read it."""
    return all(refusal(each, file) for each in terms)


def refusal(terms: SharedAttachments, file: Mapping[str, Any]) -> str:
    """Why a file is not passed on; empty where it is."""
    name: str = file["name"]
    if reason := _name_fault(name):
        return reason
    if file["size"] <= 0:
        return "it is empty"
    if file["size"] > terms.size_max:
        return f"the largest allowed here is {said_size(terms.size_max)}"
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if terms.extensions and extension not in terms.extensions:
        what = f"files of kind .{extension}" if extension else "files without extension"
        kinds = listed(terms.extensions).replace("'", "")
        return f"{what} are not allowed here, only {kinds}"
    return ""


def _name_fault(name: str) -> str:
    if not name.strip():
        return "it has no name"
    if _CONTROLS.search(name):
        return "its name has control characters"
    if "/" in name or "\\" in name or name in (".", ".."):
        return "its name is a path"
    if name != name.strip() or name.endswith("."):
        return "its name begins or ends with a space, or ends with a dot"
    if len(name.encode()) > NAME_BYTES_MAX:
        return f"its name is longer than {NAME_BYTES_MAX} bytes"
    return ""


def said_size(size: int) -> str:
    """Like `3.1 MB`."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"


def _type_of(offer: Mapping[str, Any]) -> str:
    """Only told on; nobody serves a file as what its sender calls it."""
    kind = str(offer.get("type") or "").partition(";")[0].strip().lower()
    fits = len(kind) <= _TYPE_LENGTH_MAX and _TYPE.fullmatch(kind)
    return kind if fits else ANY_TYPE


def _note(
    case: Case, terms: SharedAttachments, file: File, reason: str
) -> dict[str, Any]:
    """The entry in which people read of a refused file. Its id follows from the file,
    so that it is told once however often it is shown."""
    member = case.captured.member
    text = (
        f"The file {shown(file['name'])} ({said_size(file['size'])}) of {member} was"
        f" not passed on: {reason}."
    )
    return {
        "id": "rps:" + identity_text("refused", file["id"], file["sha256"]),
        "journal": terms.journal,
        "text": text,
        "author": "rps",
        "written_at": case.now.isoformat(),
    }


# --- what goes out ------------------------------------------------------------------


def to_tell(
    state: CorrelationState, member: Member, files: Sequence[File], *, is_new: bool
) -> list[File]:
    """Those of `files` that the member is told of; all there are, where its record is
    yet to be made. `as` is the id that the member itself gave one."""
    if not member.attachments:
        return []
    if is_new:
        every = [each.shown for each in state.attached.values()]
        files = [file for file in every if not file.get("deleted")]
    told = []
    for file in files:
        own = state.attached[file["id"]].known_as.get(member.name)
        told.append({**file, "as": own} if own else file)
    return told


def owed(state: CorrelationState, member: Member) -> list[File]:
    """Files that the member lacks, or has and should not, and no message brings."""
    coming = {
        (each["id"], each["sha256"], bool(each.get("deleted")))
        for pending in state.pending.to(member.name)
        for each in pending.attachments
    }
    lacking = []
    for key, file in state.attached.items():
        held = file.held.get(member.name)
        right = held is None if file.deleted else held == file.shown["sha256"]
        if not right and (key, file.shown["sha256"], file.deleted) not in coming:
            lacking.append(file.shown)
    return lacking


def _crossed(
    state: CorrelationState, captured: ChangeCaptured, files: Sequence[File]
) -> set[str]:
    """Those of `files` that a message waiting for the member, who has just changed
    them, would change back: it is told of its own last. Not where the member decides:
    what it tells is taken as it is."""
    if not files or captured.if_match is not None:
        return set()
    return {
        each["id"]
        for pending in state.pending.to(captured.member)
        for each in pending.attachments
    }


def _is_older(state: CorrelationState, captured: ChangeCaptured) -> bool:
    """Whether the change shows its record as it was before what is known of it."""
    link, shown = state.links.get(captured.member), captured.record_revision
    if link is None or shown is None or link.revision in (None, shown):
        return False
    return not newer(shown, link.revision)
