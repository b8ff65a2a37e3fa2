"""What a captured change tells of journal entries, new ones and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import flow, journal, journal_news
from rps.domain.between_nodes import NODE
from rps.domain.delivery import POLL
from rps.domain.entries import digest
from rps.domain.journal import Heard
from rps.domain.membership import Membership

if TYPE_CHECKING:
    from collections.abc import Container

    from rps.domain.plan import Case
    from rps.domain.state import Stamp


class Hearing(Membership):
    """Judges the entries of a change next to what is known of them."""

    def _heard(self, case: Case, stamp: Stamp) -> Heard:
        """Raises MappingRefused for an internal note a public journal would get."""
        heard = Heard()
        if case.captured.entries:
            twins = self._twins(case)
            own = {each["as"] for each in twins}
            heard.entries = self._new_entries(case, own)
            journal.edits(self, case, stamp, heard)
            heard.entries += twins
        link = self.links.get(case.member.name)
        if self.opened and (link is None or link.record_id is None):
            heard.back += journal_news.earlier(self, case.member)
        return heard

    def _twins(self, case: Case) -> list[dict[str, Any]]:
        """Of who tells of its changes by itself nobody has to guess."""
        return list(journal.twins(self, case)) if case.captured.source == POLL else []

    def _new_entries(
        self, case: Case, ours: Container[str] = ()
    ) -> list[dict[str, Any]]:
        """Entries nobody has shared yet; not those that are `ours`. One without any
        text says nothing, and one that was removed is none."""
        captured = case.captured
        arrived = {
            f"{captured.member}:{entry['id']}": entry
            for entry in captured.entries
            if entry["id"] not in ours
            and (captured.member, entry["id"]) not in self.entries_as
            if entry["id"] not in self.entry_ids
            or (captured.source == NODE and not entry.get("yours"))
        }
        return flow.inbound_entries(
            case.member,
            case.definition,
            [
                flow.believable({**entry, "id": key}, captured.timestamp)
                for key, entry in arrived.items()
                if key not in self.entry_ids
                and not entry.get("deleted")
                and digest(entry["text"])
            ],
        )
