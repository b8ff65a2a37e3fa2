"""Cases of what is written and read back."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from rps.connectors.conformance.results import Failed, NotApplicable, said
from rps.connectors.conformance.tried import CONTENT
from rps.domain.delivery import Attachment, Delivered, Found, Moved, Refused

if TYPE_CHECKING:
    from rps.connectors.conformance.tried import Tried


def check(tried: Tried) -> str:
    fine, says = tried.connector.check()
    if not fine:
        raise Failed(says)
    return says


def create(tried: Tried) -> str:
    write = tried.new()
    done = tried.delivered(write)
    tried.made, tried.shared = done.record_id, write.correlation_id
    seen = tried.holds(write)
    if tried.connector.capabilities.conditional_write and seen.revision is None:
        raise Failed("reading it shows no revision (of a description: record/revision)")
    return f"record {tried.made}"


def create_again(tried: Tried) -> None:
    """What a node does whose memory of the first try is gone."""
    write = tried.new()
    first = tried.delivered(write)
    settled = tried.settled(write)
    if isinstance(settled, Refused):
        raise NotApplicable(f"{settled.detail}; a lost answer needs a person")
    if not isinstance(settled, Found | Delivered):
        raise Failed(f"it is not found again: {said(settled)}")
    second = tried.delivered(write)
    if second.record_id != first.record_id:
        raise Failed(f"it was made twice: {first.record_id}, {second.record_id}")


def update(tried: Tried) -> None:
    write = tried.changed()
    tried.delivered(write)
    tried.holds(write)


def conditional_update(tried: Tried) -> str:
    is_promised = tried.connector.capabilities.conditional_write
    stale = tried.revision()
    tried.delivered(tried.changed())
    late = replace(tried.changed(), if_match=stale)
    outcome = tried.written(late)
    if isinstance(outcome, Moved):
        return "" if is_promised else "rps itself compares, right before it writes"
    if not is_promised:
        raise NotApplicable("it does not write conditionally")
    raise Failed(f"a write against an old revision: {said(outcome)}")


def comment(tried: Tried) -> str:
    entry = tried.entry()
    tried.delivered(tried.write(entries=(entry,), if_match=tried.revision()))
    return tried.is_there_once(entry)


def attachment(tried: Tried) -> None:
    if tried.sample.no_files:
        raise NotApplicable(tried.sample.no_files)
    name, sha256 = f"rps {tried.new_id()[:8]}.txt", hashlib.sha256(CONTENT).hexdigest()
    file = Attachment(f"rps:{name}", name, len(CONTENT), "text/plain", sha256)
    outcome = tried.connector.write(
        tried.write(attachments=(file,), if_match=tried.revision())
    )
    if isinstance(outcome, Refused) and "description" in outcome.detail:
        raise NotApplicable(outcome.detail)
    if not isinstance(outcome, Delivered):
        raise Failed(f"writing: {said(outcome)}")
    there = [f for f in tried.shown().attachments if f["name"] == name]
    if [f["sha256"] for f in there] != [sha256]:
        raise Failed(f"the file is there {len(there)} times, or with other bytes")
