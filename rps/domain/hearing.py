"""What a captured change tells of journal entries, new ones and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import flow, journal
from rps.domain.between_nodes import NODE
from rps.domain.entries import digest
from rps.domain.journal import Heard
from rps.domain.membership import Membership

if TYPE_CHECKING:
    from rps.domain.plan import Case
    from rps.domain.state import Stamp


class Hearing(Membership):
    """Judges the entries of a change next to what is known of them."""

    def _heard(self, case: Case, stamp: Stamp) -> Heard:
        """Raises MappingRefused for an internal note a public journal would get."""
        heard = Heard()
        if case.captured.entries:
            heard.entries = self._new_entries(case)
            journal.edits(self, case, stamp, heard)
        link = self.links.get(case.member.name)
        if self.opened and (link is None or link.record_id is None):
            heard.back += journal.earlier(self, case.member)
        return heard

    def _new_entries(self, case: Case) -> list[dict[str, Any]]:
        """Entries nobody has shared yet. One without any text says nothing, and one
        that was removed is none."""
        captured = case.captured
        arrived = {
            f"{captured.member}:{entry['id']}": entry
            for entry in captured.entries
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
