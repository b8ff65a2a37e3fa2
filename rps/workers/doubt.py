"""Readings that cannot be trusted: of a record that rps was writing to meanwhile.

Such a reading may be from before the write, or from between two of its requests. Where
revisions can be compared, the merge tells. Where they only differ (ETags), the value
of before would look as if somebody had put it back. So the fields are read again once
the write is done: the record is noted for that (`hints`). Comments and files are what
they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from rps.projections.hint_questions import HintQuestions
from rps.projections.poll_questions import PollQuestions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.application import RemoteProcessSync
    from rps.domain.delivery import Shown
    from rps.projections.poll_questions import Table


class Doubt:
    """About what is read of `table` from now on."""

    def __init__(self, application: RemoteProcessSync, table: Table) -> None:
        self._application = application
        self._table = table
        self._position = application.recorder.head()[0]
        self._polls = PollQuestions(application.datastore)
        self._hints = HintQuestions(application.datastore)

    def about(self, shown: Iterable[Shown]) -> set[str]:
        """The ids of those that are not to be trusted."""
        known = {e.record.record_id: _correlation(e.external_id) for e in shown}
        if not known:
            return set()
        routes = self._application.configuration.current.routes
        members = [
            (route.definition_id, route.member.name)
            for route in routes.get(self._table, ())
        ]
        return self._polls.written(self._table, members, known, self._position)

    def note(self, record_ids: Iterable[str]) -> None:
        """Have these read again."""
        for record_id in sorted(record_ids):
            self._hints.note(*self._table, record_id)


def without_fields(shown: Shown) -> Shown:
    """What came with the record alone."""
    return replace(shown, record=replace(shown.record, revision=None, fields={}))


def _correlation(external_id: str | None) -> str | None:
    try:
        return str(UUID(external_id or ""))
    except ValueError:
        return None
