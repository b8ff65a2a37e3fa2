"""The requests that a write takes, one after the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rps.connectors.rest import records, template
from rps.connectors.rest.answers import Asked, Heard
from rps.connectors.rest.reader import alike
from rps.domain.delivery import Moved, Refused, Unavailable

if TYPE_CHECKING:
    from rps.connectors.rest.answers import Trouble
    from rps.connectors.rest.calls import Calls
    from rps.connectors.rest.description import Call
    from rps.connectors.rest.reader import Reader
    from rps.connectors.rest.work import Work

CONTENDED_TRIES = 8
"""Of a request that only adds to a record, while others change it."""


class Sender:
    def __init__(self, calls: Calls, reader: Reader) -> None:
        self._calls = calls
        self._reader = reader

    def run(
        self, work: Work, calls: tuple[Call, ...], *, of_record: bool
    ) -> Heard | Trouble | None:
        """The last answer; None where no call concerned this write."""
        last: Heard | None = None
        work.context["kept"] = {}
        for call in calls:
            if self._is_needless(work, call):
                continue
            came = self._contended(work, call, of_record=of_record)
            if not isinstance(came, Heard):
                return came
            if call.method != "GET":
                work.began, last = True, came
                if not work.exchange.request_sha256:
                    work.exchange = came.exchange
            if trouble := _keep(call, work.context, came):
                return trouble
        return last

    def _is_needless(self, work: Work, call: Call) -> bool:
        if call.unless and work.context["kept"].get(call.unless):
            return True
        if not call.when:
            return False
        if call.when == "*":
            return not work.context["fields"]
        if call.when not in work.write.fields:
            return True
        if not call.changed or not work.record_id:
            return False
        if work.found is None:
            work.found = self._reader.read(work.write.table, work.record_id)
        if not isinstance(work.found, records.Seen):
            return False
        there = template.picked(call.changed, work.found.raw)
        return alike(there, work.write.fields[call.when])

    def _contended(self, work: Work, call: Call, *, of_record: bool) -> Heard | Trouble:
        """Ask; what only adds is tried again where somebody else was faster."""
        is_conditional = bool(call.if_match) and "revision" in work.context
        asked = Asked(call.method != "GET", of_record, is_conditional)
        if call.if_match != "current":
            return self._calls.ask(call, work.context, asked)
        asked = replace(asked, repeatable=True)
        for _ in range(CONTENDED_TRIES):
            seen = self._reader.read(work.write.table, work.record_id)
            if not isinstance(seen, records.Seen):
                return seen
            context = {**work.context, "revision": seen.snapshot.revision or ""}
            came = self._calls.ask(call, context, asked)
            if not isinstance(came, Moved):
                return came
        return Unavailable(f"others keep changing it: tried {CONTENDED_TRIES} times")


def _keep(call: Call, context: dict[str, Any], came: Heard) -> Trouble | None:
    kept = context["kept"]
    for name, expression in call.keep.items():
        kept[name] = template.picked(expression, came.document)
    if call.pick is None:
        return None
    wanted = template.as_text(call.pick.equals, context)
    items = template.picked(call.pick.items, came.document)
    for item in items if isinstance(items, list) else []:
        if alike(template.picked(call.pick.where, item), wanted):
            kept[call.pick.name] = template.picked("id", item)
            return None
    return Refused(
        f"the system offers no {call.pick.name} to {wanted!r} for this record now"
    )
