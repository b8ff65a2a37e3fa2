"""A ServiceNow instance's tickets are brought into a real Roundup, and both edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.seeding import measure

if TYPE_CHECKING:
    from pathlib import Path


def test_tickets_from_before_are_brought_over_and_edits_of_both_sides_merge(
    tmp_path: Path,
) -> None:
    """What `python -m bench.seeding` measures, in small: each record, comment and file
    is at both systems, once, and they say the same."""
    outcome = measure(8, 16, tmp_path)
    assert outcome.faults == []
