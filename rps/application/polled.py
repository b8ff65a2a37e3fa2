"""What a system's list of changes shows, as changes that are taken in."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rps.domain.delivery import Shown
    from rps.domain.uses import Uses

Offer = dict[str, Any]


def change_of(
    system: str,
    table: str,
    shown: Shown,
    uses: Uses,
    hashed: Callable[[Mapping[str, Any]], Offer | None],
) -> dict[str, Any] | None:
    """With what its definitions have to do with, and no more; None where that is
    nothing. The same that is shown twice is the same change, by its id."""
    record = shown.record
    operation = "create" if shown.is_new else "update"
    if record.deleted:
        operation = "delete"
    offers = [offer for each in _files(shown, uses) if (offer := hashed(each))]
    entries = _entries(shown.entries, uses)
    fields = {
        name: value for name, value in record.fields.items() if name in uses.fields
    }
    if not (fields or entries or offers or record.deleted):
        return None
    change = {
        "system": system,
        "table": table,
        "record_id": record.record_id,
        "operation": operation,
        "revision": record.revision,
        "fields": fields,
        "entries": entries,
        "attachments": offers,
        "changed_by": shown.changed_by,
        "changed_at": record.updated_at or "",
        "external_id": shown.external_id,
    }
    change_id = _id_of(change, shown)
    earlier = _entries(shown.earlier, uses)
    return {**change, "entries": [*earlier, *entries], "change_id": change_id}


def _entries(shown: Iterable[Mapping[str, Any]], uses: Uses) -> list[dict[str, Any]]:
    return [dict(each) for each in shown if each.get("journal") in uses.journals]


def _files(shown: Shown, uses: Uses) -> tuple[Mapping[str, Any], ...]:
    return shown.attachments if uses.files else ()


def _id_of(change: Mapping[str, Any], shown: Shown) -> str:
    """What comes alone goes by its own id: its record may say something else of itself
    when it is shown again."""
    body = {name: change[name] for name in ("system", "table", "record_id")}
    if shown.record.revision is None and not change["fields"]:
        body["entries"] = [each["id"] for each in change["entries"]]
        body["files"] = [
            (each["id"], each.get("sha256")) for each in change["attachments"]
        ]
        body["deleted"] = shown.record.deleted and change["changed_at"]
    else:
        body = dict(change)
    made = blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=16)
    return f"poll:{made.hexdigest()}"
