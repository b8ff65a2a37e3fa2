"""Writes the fields of a record: makes it, changes it, deletes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rps.connectors.rest import records, template
from rps.connectors.rest.answers import Heard
from rps.connectors.shown import text_of_id
from rps.domain.delivery import Delivered, Exchange, Missing, Refused, Uncertain

if TYPE_CHECKING:
    from rps.connectors.rest.answers import Trouble
    from rps.connectors.rest.description import Description
    from rps.connectors.rest.description import Write as Described
    from rps.connectors.rest.reader import Reader
    from rps.connectors.rest.sending import Sender
    from rps.connectors.rest.work import Work


class FieldWriter:
    def __init__(
        self, description: Description, sender: Sender, reader: Reader
    ) -> None:
        self._description = description
        self._sender = sender
        self._reader = reader

    def written(self, work: Work) -> Trouble | None:
        if work.parts.fields:
            work.context["record_id"] = work.record_id
            return None
        if work.write.operation == "create" and not work.record_id:
            return self._created(work)
        work.context["record_id"] = work.record_id
        if not work.write.fields:
            work.parts.fields = True
            return None
        update = work.table.update
        if update is None:
            return Refused(
                f"the description does not say how {work.write.table} is"
                " changed: see 'update'"
            )
        came = self._sender.run(work, update.calls, of_record=True)
        return self._taken(work, update, came)

    def _created(self, work: Work) -> Trouble | None:
        """Never twice: where it can be looked for, it is."""
        if work.table.find_external is not None and not work.parts.settled:
            there = self._reader.by_external_id(
                work.write.table, work.write.correlation_id
            )
            if isinstance(there, records.Seen):
                work.parts.record_id = there.snapshot.record_id
                work.parts.fields = True
                work.context["record_id"] = work.record_id
                return None
            if not isinstance(there, Missing):
                return there
        create = work.table.create
        if create is None:
            return Refused(
                f"the description does not say how {work.write.table} is"
                " made: see 'create'"
            )
        came = self._sender.run(work, create.calls, of_record=False)
        work.is_new = True
        trouble = self._taken(work, create, came)
        if trouble is None and create.then_update and work.record_id:
            return self._followed(work)
        if trouble is None and not work.record_id:
            work.parts.fields = False
            return Uncertain(
                "the answer does not tell the id of the record that was made: see"
                " create/record_id",
                work.exchange,
            )
        return trouble

    def _followed(self, work: Work) -> Trouble | None:
        """What could not be set when the record was made."""
        update = work.table.update
        calls = update.calls if update else ()
        single = tuple(call for call in calls if call.when not in ("", "*"))
        came = self._sender.run(work, single, of_record=True)
        if came is None or isinstance(came, Heard):
            return None
        work.parts.fields = False
        return came

    def _taken(
        self, work: Work, said: Described, came: Heard | Trouble | None
    ) -> Trouble | None:
        if came is None:  # nothing of it concerned this write
            work.parts.fields = True
            return None
        if not isinstance(came, Heard):
            return came
        work.exchange, work.began = came.exchange, True
        if not work.record_id:
            work.parts.record_id = _id_in(said.record_id, came)
            work.context["record_id"] = work.record_id
        work.parts.fields = bool(work.record_id)
        if said.shows:
            record = replace(work.table.record, at=said.shows)
            work.shown = records.seen(
                self._description, record, came.document, came.headers, work.record_id
            )
            if work.shown is not None and not work.record_id:
                work.parts.record_id = work.shown.snapshot.record_id
                work.context["record_id"] = work.record_id
                work.parts.fields = True
        return None

    def deleted(self, work: Work) -> Delivered | Trouble:
        if work.table.remove is None:
            return Refused(
                f"the description does not say how {work.write.table} is"
                " deleted: leave 'delete' out of the member's 'deliver'"
            )
        came = self._sender.run(work, work.table.remove.calls, of_record=True)
        match came:
            case Missing():
                return Delivered(work.record_id, None, {})
            case Heard() | None:
                exchange = came.exchange if came else Exchange()
                return Delivered(work.record_id, None, {}, exchange)
            case _:
                return came


def _id_in(expression: str, came: Heard) -> str | None:
    """As the answer says, else the last part of where it says the record is."""
    if expression and (found := text_of_id(template.picked(expression, came.document))):
        return found
    where = came.headers.get("location", "").split("?")[0].rstrip("/")
    return text_of_id(where.rpartition("/")[2])
