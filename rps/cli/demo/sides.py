"""The act in which both companies' audits are laid side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rps.cli.audit_verify import verified_log
from rps.cli.demo.stage import COLUMNS
from rps.cli.demo.waiting import wait_until
from rps.cli.terminal import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from rps.cli.demo.company import Company
    from rps.cli.demo.journeys import Journey
    from rps.cli.demo.story import Story

ID_CHARACTERS = 36
SHOWN_CHARACTERS = 8


def side_by_side(story: Story, shared: Journey) -> None:
    """Each log verified; then what each says of the messages between the two."""
    stage = story.stage
    stage.act(
        "Two audits, side by side",
        "Each company has its own log, in which each event's hash covers the one\n"
        "before. Both name the same messages.",
    )
    for company in story.scene.companies:
        verified = verified_log(company.session, lambda _done, _total: None)
        if verified.breaks:
            raise Failure(f"the log is broken: {verified.breaks[0].detail}")
        stage.done(
            f"{company.name}: {verified.events} events verified, none changed, "
            f"removed or added; {verified.hash.hex()[:12]}…"
        )
    rows: list[dict[str, Any]] = []

    def same() -> bool:
        rows[:] = list(_messages(story, shared))
        return all(row["sent"] and row["taken"] for row in rows)

    wait_until(same, "both logs name the same messages", story.processes)
    stage.print(f"\nThe messages about {shared.ticket}:\n")
    stage.print(_table(rows))
    stage.print()
    stage.done(f"{len(rows)} messages, each in both logs by the same id")


def _messages(story: Story, shared: Journey) -> Iterator[dict[str, Any]]:
    """Each message between the two, as its sender and its taker have it."""
    logs = {c.name: _events(c, shared) for c in story.scene.companies}
    found: dict[str, dict[str, Any]] = {}
    for company in story.scene.companies:
        for event in logs[company.name]:
            if event.TOPIC == "change.captured" and event.source == "node":
                row = found.setdefault(event.change_id[:ID_CHARACTERS], {})
                row.setdefault("taken", event.timestamp)
                row["by"] = company.name
            elif event.TOPIC == "message.transmitted" and event.member == company.other:
                row = found.setdefault(event.message_id, {})
                row.setdefault("sent", event.timestamp)
                row["from"] = company.name
                row["what"] = _what(event)
            elif event.TOPIC == "message.acknowledged" and event.message_id in found:
                found[event.message_id]["acknowledged"] = event.timestamp
    for key, row in sorted(found.items(), key=lambda each: _moment(each[1])):
        yield {"id": key, "sent": None, "taken": None, **row}


def _events(company: Company, shared: Journey) -> list[Any]:
    application = company.session.application
    stored = application.recorder.streams({shared.correlation_id: 0})
    return [application.event_mapper.to_domain_event(each) for each in stored]


def _moment(row: dict[str, Any]) -> datetime:
    moment: datetime = row.get("taken") or row["sent"]
    return moment


def _what(event: Any) -> str:
    if event.operation != "update":
        return str(event.operation)
    return ", ".join(event.fields) or ("comment" if event.entry_ids else "file")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), width=COLUMNS)
    table.add_column("message", no_wrap=True)
    table.add_column("what", no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column("its sender: done", no_wrap=True)
    table.add_column("the other: taken in", no_wrap=True)
    for row in rows:
        table.add_row(
            f"{row['id'][:SHOWN_CHARACTERS]}…",
            Text(row["what"]),
            f"{row['from']:6} {_time(row.get('acknowledged'))}",
            f"{row['by']:6} {_time(row['taken'])}",
        )
    return table


def _time(moment: datetime | None) -> str:
    return f"{moment.astimezone():%H:%M:%S.%f}"[:-3] if moment else ""
