"""What a captured change shows of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import courses, flow
from rps.domain.merge import Sighting, stamp
from rps.domain.state import DELETED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.execution import Course
    from rps.domain.plan import Case
    from rps.domain.question import Answers
    from rps.domain.state import CorrelationState


def sighting(
    state: CorrelationState, case: Case, remote: Mapping[str, Any], answers: Answers
) -> tuple[Sighting, Course]:
    """What the change shows with the fields `remote`, in shared names and values, and
    how its flow came to that. Raises MappingRefused."""
    captured = case.captured
    course = courses.inbound(state, case, remote, answers)
    fields = course.told
    if captured.operation == "delete":
        fields = {DELETED: True}
    changed_at = None
    if captured.changed_at:
        changed_at = flow.epoch_milliseconds(captured.changed_at)
    captured_at = int(captured.timestamp.timestamp() * 1000)
    seen = Sighting(
        captured.member,
        captured.record_revision,
        fields,
        stamp(changed_at, captured_at),
        case.now.timestamp(),
    )
    return seen, course
