"""Cases of what goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rps.connectors.conformance.results import Failed, NotApplicable, said
from rps.connectors.conformance.unreliable import PAUSE_SECONDS
from rps.domain.delivery import (
    Delivered,
    Found,
    Missing,
    Moved,
    NeedsCredentials,
    NotApplied,
    Postponed,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from rps.connectors.conformance.tried import Tried

NO_FIELD = "rps_no_such_field"


def uncertain_create(tried: Tried) -> None:
    write = tried.new()
    tried.lost(write)
    settled = tried.settled(write)
    if isinstance(settled, Refused):
        raise NotApplicable(settled.detail)
    if not isinstance(settled, Found | Delivered):
        raise Failed(f"the record was made, and: {said(settled)}")
    found = settled.record.record_id if isinstance(settled, Found) else ""
    found = found or (settled.record_id if isinstance(settled, Delivered) else "")
    if tried.delivered(write).record_id != found:
        raise Failed("it was made twice")


def uncertain_update(tried: Tried) -> None:
    write = tried.changed()
    tried.lost(write)
    settled = tried.settled(write)
    if not isinstance(settled, Found | Delivered):
        raise Failed(f"the write was made, and: {said(settled)}")
    tried.holds(write)


def uncertain_comment(tried: Tried) -> str:
    entry = tried.entry()
    write = tried.write(entries=(entry,), if_match=tried.revision())
    tried.lost(write)
    settled = tried.settled(write)
    if isinstance(settled, NotApplied):
        tried.delivered(write)
    elif not isinstance(settled, Found | Delivered):
        raise Failed(f"after a lost answer: {said(settled)}")
    return tried.is_there_once(entry)


def throttling(tried: Tried) -> None:
    write = tried.changed()
    tried.wire.throttles = 1
    outcome = tried.connector.write(write)
    tried.wire.throttles = 0
    if not isinstance(outcome, Unavailable) or outcome.retry_after != PAUSE_SECONDS:
        raise Failed(f"429 with Retry-After: {said(outcome)}")


def wrong_credentials(tried: Tried) -> str:
    if tried.stranger is None:
        raise NotApplicable("it takes no credentials")
    outcome = tried.stranger.write(tried.changed())
    if not isinstance(outcome, NeedsCredentials):
        raise Failed(f"a wrong secret: {said(outcome)}")
    return outcome.detail


def deleted_record(tried: Tried) -> str:
    nowhere = tried.sample.nowhere
    outcome = tried.connector.write(
        replace(
            tried.changed(),
            correlation_id=tried.new_id(),
            record_id=nowhere,
            if_match="1",
        )
    )
    seen = tried.connector.read(tried.sample.table, nowhere)
    if not isinstance(seen, Missing):
        raise Failed(f"reading a record that is not there: {said(seen)}")
    if not isinstance(outcome, Refused | Moved):
        raise Failed(f"writing to a record that is not there: {said(outcome)}")
    return outcome.detail


def unknown_field(tried: Tried) -> str:
    outcome = tried.connector.write(
        tried.write(fields={NO_FIELD: "1"}, if_match=tried.revision())
    )
    if isinstance(outcome, Delivered) and tried.read().fields.get(NO_FIELD) == "1":
        raise NotApplicable("it keeps fields of any name")
    if not isinstance(outcome, Refused | Postponed):
        raise Failed(f"a field that there is not: {said(outcome)}")
    return outcome.detail
