"""Cases of what a system tells that changed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rps.connectors.conformance.results import Failed

if TYPE_CHECKING:
    from typing import Any

    from rps.connectors.conformance.tried import Tried

RECORDS = 5
"""More than two pages, where a page holds two."""


def poll(tried: Tried) -> None:
    cursor = tried.from_now()
    for _ in range(2):
        write = tried.changed()
        tried.delivered(write)
        changed = {tried.made: write.fields[tried.sample.field]}
        cursor, _ = tried.told(cursor, changed)


def poll_pages(tried: Tried) -> str:
    """Records that were made one right after the other: some have the same stamp."""
    cursor = tried.from_now()
    made = _made(tried, RECORDS)
    _, seen = tried.told(cursor, made)
    stamps = Counter(seen[each].updated_at for each in made)
    stamps.pop(None, None)
    same = max(stamps.values(), default=0)
    return f"{len(made)} records, up to {same or '?'} of one stamp"


def poll_edits(tried: Tried) -> None:
    """A record that is edited while pages are turned moves behind the others: it hides
    none of them, and is told of as it is by then."""
    cursor = tried.from_now()
    made = _made(tried, RECORDS - 2)
    first = tried.page(cursor)
    edited = next(iter(made))
    write = tried.changed(edited)
    tried.delivered(write)
    wanted = {**made, edited: write.fields[tried.sample.field]}
    tried.told(first.cursor, wanted, tried.snapshots(first))


def _made(tried: Tried, count: int) -> dict[str, Any]:
    """What the sample's field is, by record."""
    made = {}
    for _ in range(count):
        write = tried.new()
        made[tried.delivered(write).record_id] = write.fields[tried.sample.field]
    if len(made) != count:
        raise Failed(f"{count} records were made, and have {len(made)} ids")
    return made
