"""What makes two errors the same mistake: all that does not differ from case to case.

Ids, numbers, dates and values are taken out of the text. Member, step, field, the
status that a system answered with, and whether it waits for a person stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from rps.domain.aggregate import identity_text

GAP = "…"
PATTERN_MAX = 160

INBOUND, OUTBOUND = "inbound", "outbound"
ERROR, READY, UNCERTAIN = "error", "ready", "uncertain"

FAILING = {
    "retryable": READY,
    "credentials": READY,
    "gone": READY,
    "postponed": READY,
    "uncertain": UNCERTAIN,
}
"""Of failed attempts, what the message is afterwards. One that was `permanent` is
parked by the next event; one that `moved` is no mistake: it is made anew."""

_ANSWERED = re.compile(r"\banswered ([1-5][0-9]{2})\b")
# `'field': value why`, as flow.MappingRefused says it.
_FIELD = re.compile(r"'(?P<field>[^']{1,61})': ")
_WHY = re.compile(
    r"(?:is not (?:a shared value|a date-time|a text|a choice|a number|a finite|a list"
    r"|true or false)|is outside the years|has no (?:shared|remote|zone|place)"
    r"|has [0-9]+ characters, at most|has more digits|holds a |and '[^']*' differ).*"
)
_QUOTED = re.compile(
    r"(?<![^\s(:=,\[{])(?:'.*?'|\".*?\"|“.*?”|«.*?»|`.*?`)(?=[\s:,;.)\]}!?]|$)"
)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_MAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+")
_DATED = re.compile(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.,]+(?:Z|[+-][0-9:]+)?)?")
_HEX = re.compile(r"\b(?=[a-f-]*[a-f])[0-9a-f-]{12,}\b", re.IGNORECASE)
_NUMBERED = re.compile(
    r"[^\s,;:()'\"\[\]{}=]*[0-9][^\s,;()'\"\[\]{}=]*(?: (?:bytes|kB|MB|GB)\b)?"
)
_GAPS = re.compile(rf"{GAP}(?:(?:\s|[,;:/&+]|\band\b|\bor\b)*{GAP})+(?: and \d+ more)?")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry belongs; both empty where nobody knows any more."""

    process_event: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake without its cases. `state` is the queue's status of an entry that has
    it: `error` waits for a person. `status` is what the system answered, 0: nothing."""

    domain: str
    queue: str
    state: str
    kind: str
    process_event: str
    system: str
    member: str
    step: str
    field: str
    status: int
    pattern: str

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits."""
        said = identity_text(
            *(
                self.domain,
                self.queue,
                self.state,
                self.kind,
                self.process_event,
                self.system,
            ),
            *(self.member, self.step, self.field, str(self.status), self.pattern),
        )
        return sha256(said.encode()).hexdigest()[:16]


def fault_of(event: Any, place: Place) -> Fault | None:
    """The mistake that an event tells of, None where it tells of none."""
    step = str(getattr(event, "step", "") or "")
    match event.TOPIC:
        case "change.failed":
            queue, state, kind, status = INBOUND, ERROR, "change", None
            field = event.field
        case "message.parked":
            queue, state, kind, status = OUTBOUND, ERROR, "parked", None
            field = getattr(event, "field", "")
        case "message.failed" if event.kind in FAILING:
            queue, state, kind = OUTBOUND, FAILING[event.kind], event.kind
            status, field = event.status, ""
        case _:
            return None
    named, why = _mapping(event.detail)
    return Fault(
        domain=event.domain,
        queue=queue,
        state=state,
        kind=kind,
        process_event=place.process_event,
        system=place.system,
        member=event.member,
        step=step,
        field=field or named,
        status=status or status_in(event.detail),
        pattern=pattern(why),
    )


def status_in(detail: str) -> int:
    """What the system answered, as a text about it says; 0 where it does not."""
    found = _ANSWERED.search(detail)
    return int(found[1]) if found else 0


def pattern(detail: str) -> str:
    """The text with gaps for what differs between two cases of the same mistake."""
    text = _ANSWERED.sub("answered", detail[:2_000])
    for expression in (_QUOTED, _URL, _MAIL, _DATED, _HEX, _NUMBERED):
        text = expression.sub(GAP, text)
    text = _GAPS.sub(GAP, _BLANKS.sub(" ", text).strip())
    return text[:PATTERN_MAX]


def _mapping(detail: str) -> tuple[str, str]:
    """The field that a text about a value names, and what it says of the value."""
    named = _FIELD.match(detail)
    if named is None:
        return "", detail
    why = _WHY.search(detail, named.end())
    return (named["field"], why[0]) if why else ("", detail)
