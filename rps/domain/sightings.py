"""What a captured change shows of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import flow
from rps.domain.merge import Sighting, stamp
from rps.domain.state import DELETED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.plan import Case


def sighting(case: Case, remote: Mapping[str, Any]) -> Sighting:
    """What the change shows with the fields `remote`, in shared names and values.
    Raises MappingRefused."""
    captured = case.captured
    fields = flow.inbound(case.member, case.definition, remote).fields
    if captured.operation == "delete":
        fields = {DELETED: True}
    changed_at = None
    if captured.changed_at:
        changed_at = flow.epoch_milliseconds(captured.changed_at)
    captured_at = int(captured.timestamp.timestamp() * 1000)
    return Sighting(
        captured.member,
        captured.record_revision,
        fields,
        stamp(changed_at, captured_at),
        case.now.timestamp(),
    )
