"""Finds the record that a flow asks for, and makes it where it is to be made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import identity_text
from rps.domain.delivery import (
    Delivered,
    Found,
    Gone,
    Missing,
    NeedsCredentials,
    Refused,
    Snapshot,
    Unavailable,
    Uncertain,
    Write,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.delivery import Connector
    from rps.domain.question import Answer, Question


@dataclass(frozen=True, slots=True)
class NotNow:
    """There is no answer yet, and why. `retry_after` in seconds."""

    detail: str
    retry_after: float | None = None


Came = Snapshot | Missing | Refused | NotNow


def found(connector: Connector, question: Question) -> Came:
    """The record asked for."""
    asked = question.asked
    reading = connector.find(asked["table"], asked["by"], str(asked["value"]))
    match reading:
        case Snapshot() if reading.deleted:
            return Missing("it is deleted")
        case Snapshot() | Missing() | Refused():
            return reading
        case Unavailable(detail, retry_after):
            return NotNow(detail, retry_after)
        case NeedsCredentials(detail) | Gone(detail):
            return NotNow(detail)


def found_or_made(connector: Connector, inquiry: str, question: Question) -> Came:
    """The record asked for; `inquiry` is always the same for the same one."""
    came = found(connector, question)
    if isinstance(came, Missing) and question.kind == "create_if_missing":
        return _made(connector, inquiry, question)
    return came


def _made(connector: Connector, inquiry: str, question: Question) -> Came:
    """Under an id that is always the same, so that a system that knows such ids makes
    it once; another one is asked first when it is tried again."""
    asked, key = question.asked, identity_text("made", inquiry)
    write = Write(
        delivery_id=key,
        correlation_id=key,
        process_event=question.step,
        operation="create",
        table=asked["table"],
        record_id=None,
        if_match=None,
        fields={asked["by"]: asked["value"], **asked["with"]},
    )
    outcome = connector.write(write)
    match outcome:
        case Delivered(record_id, revision, stored):
            return Snapshot(record_id, revision, {**write.fields, **stored})
        case Uncertain(detail):
            settled = connector.settle(write)
            if isinstance(settled, Found):
                return settled.record
            return NotNow(f"{detail}; it is looked for again")
        case Unavailable(detail, retry_after):
            return NotNow(detail, retry_after)
        case NeedsCredentials(detail) | Gone(detail):
            return NotNow(detail)
        case _:
            return Refused(f"it cannot be made: {outcome.detail}")


def taken(question: Question, record: Mapping[str, Any], system: str) -> Answer:
    """What the step takes of the record `{record_id, fields}`."""
    take = question.asked["take"]
    if not take:
        return {"value": record["record_id"]}
    if take not in record["fields"]:
        return {"error": f"the record of {system} shows no field {take!r}"}
    return {"value": record["fields"][take]}
