"""What happened to one shared record, each event said in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rps.application.operations import NotFound
from rps.cli.session import identifier
from rps.domain import events as happened
from rps.domain.attachments import said_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from uuid import UUID

    from rps.cli.session import Session
    from rps.domain.aggregate import Event

TEXT_CHARACTERS = 48
LINKED = """
SELECT DISTINCT correlation_id FROM links WHERE record_id = %(record_id)s LIMIT 2
"""
ENTRIES = {"": "comment", "update": "edited comment", "delete": "removed comment"}
STYLES = {"change": "cyan", "message": "green", "conflict": "magenta"}
ALARMING = ("failed", "parked", "refused")


def timeline_rows(session: Session, name: str) -> list[dict[str, Any]]:
    """The events of the correlation `name`: its id, or a record's. Raises NotFound."""
    correlation_id = _correlation(session, name)
    stored = session.application.recorder.streams({correlation_id: 0})
    if not stored:
        raise NotFound(f"no correlation {correlation_id}")
    mapper = session.application.event_mapper
    rows = []
    for notification in stored:
        event = mapper.to_domain_event(notification)
        rows.append(
            {
                "position": notification.id,
                "at": event.timestamp.isoformat(timespec="milliseconds"),
                "event": event.TOPIC,
                "where": _member(event),
                "text": told(event),
            }
        )
    return rows


def _member(event: Event) -> str:
    fields = vars(event)
    return str(fields.get("member") or fields.get("message", {}).get("member", ""))


def _correlation(session: Session, name: str) -> UUID:
    found = session.ask(LINKED, {"record_id": name})
    if len(found) > 1:
        raise NotFound(f"several systems have a record {name}: give the correlation")
    if found:
        correlation_id: UUID = found[0]["correlation_id"]
        return correlation_id
    try:
        return identifier(name)
    except NotFound:
        raise NotFound(f"no shared record {name}") from None


def timeline_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """For 80 columns and more."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("at", no_wrap=True, style="dim")
    table.add_column("where", no_wrap=True)
    table.add_column("event", no_wrap=True)
    table.add_column("what happened", overflow="fold")
    for row in rows:
        kind, _, fact = row["event"].partition(".")
        style = "red" if fact in ALARMING else STYLES.get(kind, "")
        table.add_row(
            row["at"][11:23],
            Text(row["where"]),
            Text(fact if kind != "conflict" else "conflict", style),
            Text(row["text"]),
        )
    return table


def told(event: Event) -> str:
    """One event in plain words; an event without words of its own by its name."""
    words = WORDS.get(type(event))
    return words(event) if words else event.TOPIC.replace(".", " ")


def _captured(event: Any) -> str:
    who = event.changed_by or event.account or "rps"
    verb = {"create": "created", "update": "changed", "delete": "deleted"}
    parts = _differences(event.before, event.fields)
    parts += [f"{entry['journal']}: {_entry(entry)}" for entry in event.entries]
    parts += [_file(each) for each in event.attachments]
    what = "; ".join(parts)
    said = f"{who} {verb[event.operation]} {event.record_id}"
    if event.source == "read_back":
        said = f"read back {event.record_id}, it had moved"
    elif event.source == "moved":
        said = f"{said} (moved here)"
    return f"{said}: {what}" if what else said


def _file(file: Mapping[str, Any]) -> str:
    """A file as events have it."""
    name = _shown(file.get("name", file["id"]))
    if file.get("deleted"):
        return f"file {name} removed"
    version = f" version {file['version']}" if file.get("version", 1) > 1 else ""
    return f"file {name}{version} ({said_size(file['size'])})"


def _files(event: Any) -> str:
    said = ", ".join(map(_file, event.attachments))
    return f"shared: {said}" if said else f"{event.member} has a file that is shared"


def _refused(event: Any) -> str:
    return f"{_file(event.attachment)} not passed on: {event.reason}"


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} {_shown(before[name])} -> {_shown(value)}"
        if before.get(name) is not None
        else f"{name} {_shown(value)}"
        for name, value in after.items()
    ]


def _accepted(event: Any) -> str:
    told_to = ", ".join(message["member"] for message in event.messages)
    shared = ", ".join([*event.values, *_journals(event.entries)])
    what = f"version {event.version} shared: {shared}" if shared else "nothing new"
    return f"{what}; to be told: {told_to or 'nobody'}"


def _entry(entry: dict[str, Any]) -> str:
    return "(removed)" if entry.get("deleted") else _shown(entry["text"])


def _journals(entries: list[dict[str, Any]]) -> list[str]:
    """What became of journal entries, each kind once."""
    kinds = {entry.get("operation", "") for entry in entries}
    return [words for kind, words in ENTRIES.items() if kind in kinds]


def _conflict(event: Any) -> str:
    return (
        f"{event.field}: {event.member} says {_shown(event.theirs)}, the others "
        f"{_shown(event.mine)}, both unaware (before: {_shown(event.base)})"
    )


def _recorded_conflict(event: Any) -> str:
    won = event.theirs if event.winner == "remote" else event.mine
    kept = "both are kept" if event.winner == "merged" else f"{_shown(won)} is kept"
    return f"{_conflict(event)}; {kept} ({event.policy})"


def _transmitted(event: Any) -> str:
    parts = [f"{name} {_shown(value)}" for name, value in event.fields.items()]
    parts += ["comment"] * bool(event.entry_ids)
    status = event.status or "no answer"
    return (
        f"{event.operation} sent (attempt {event.attempt}): {', '.join(parts)}; "
        f"answer {status} in {event.seconds * 1000:.0f} ms"
    )


def _acknowledged(event: Any) -> str:
    revision = f" at revision {event.record_revision}" if event.record_revision else ""
    how = "" if event.settled_by == "answer" else f" ({event.settled_by})"
    return f"{event.member} holds it as {event.record_id}{revision}{how}"


def _failed(event: Any) -> str:
    again = f"; again at {event.retry_at[11:19]}" if event.retry_at else ""
    return f"attempt {event.attempt}, {event.kind}: {event.detail}{again}"


def _answer(answer: dict[str, Any]) -> str:
    match answer:
        case {"error": str(error)}:
            return f"no answer: {error}"
        case {"withdrawn": str(why)}:
            return f"not answered: {why}"
        case {"missing": _}:
            return "answered: there is none"
        case {"values": dict(values)}:
            told = ", ".join(f"{key} {_shown(value)}" for key, value in values.items())
            return f"answered: {told}"
        case _:
            return f"answered: {_shown(answer.get('value'))}"


def _by(event: Any) -> str:
    return f"by {event.actor}: {event.reason}"


WORDS: dict[type[Event], Callable[[Any], str]] = {
    happened.ChangeCaptured: _captured,
    happened.QuestionAsked: lambda e: (
        f"step {e.question['step']} asks {e.system or e.question['asked']['action']}"
    ),
    happened.QuestionAnswered: lambda e: f"{_answer(e.answer)} in {e.seconds:.2f} s",
    happened.FlowNotified: lambda e: f"step {e.step} tells: {_shown(e.text)}",
    happened.CorrelationOpened: lambda e: (
        f"shared under {e.process_event} revision {e.revision}"
    ),
    happened.CorrelationLinked: lambda e: f"linked to {e.table} {e.record_id}",
    happened.CorrelationUnlinked: lambda e: f"unlinked {e.record_id} {_by(e)}",
    happened.CorrelationRelinked: lambda e: f"linked again {_by(e)}",
    happened.CorrelationDeactivated: _by,
    happened.CorrelationReactivated: _by,
    happened.ChangeAccepted: _accepted,
    happened.ChangeIgnored: lambda e: e.reason,
    happened.ChangeFailed: lambda e: (
        e.detail if e.step else f"{e.field} {_shown(e.value)}: {e.detail}"
    ),
    happened.ChangeRetried: _by,
    happened.ChangeSkipped: _by,
    happened.ConflictRecorded: _recorded_conflict,
    happened.ConflictOpened: lambda e: f"{_conflict(e)}; a person has to decide",
    happened.ConflictResolved: lambda e: f"{e.field} is {_shown(e.value)} {_by(e)}",
    happened.MessageTransmitted: _transmitted,
    happened.MessageReceived: lambda e: (
        f"{'shared' if e.judged else 'taken in'} by {e.member}; {e.detail}"
    ),
    happened.MessageAcknowledged: _acknowledged,
    happened.MessageFailed: _failed,
    happened.AttachmentsShared: _files,
    happened.AttachmentRefused: _refused,
    happened.MessageReleased: lambda _: "its files are here",
    happened.MessageParked: lambda e: f"waits for a person: {e.detail}",
    happened.MessageRetried: _by,
    happened.MessageSkipped: _by,
    happened.MessageRevised: lambda e: f"made anew: {e.reason}",
    happened.MessageReplayed: _by,
}


def _shown(value: Any) -> str:
    match value:
        case None | "":
            return "(empty)"
        case bool():
            return "yes" if value else "no"
        case list():
            return _cut(", ".join(map(str, value)))
        case str():
            return f'"{_cut(value)}"' if " " in value else _cut(value)
        case _:
            return _cut(str(value))


def _cut(text: str) -> str:
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= TEXT_CHARACTERS else line[: TEXT_CHARACTERS - 1] + "…"
