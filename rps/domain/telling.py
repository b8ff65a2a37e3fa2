"""What people are told of a notice, in words and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain.notice import OPEN

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.domain.notice import Notice

SUBJECT_MAX = 200

_UNDECIDED = """\
A person has to decide; until then the field is held back: rps conflict list"""
_WAITS = """\
Nothing is lost: what is for it waits, and goes out in order once it answers."""
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def subject_of(notice: Notice) -> str:
    """One line."""
    said = f"[rps] {_headline(notice)} ({notice.domain})"
    return "".join(c if c.isprintable() else " " for c in said)[:SUBJECT_MAX]


def text_of(notice: Notice, new: int, link: str) -> str:
    """`new`: how many of its happenings no earlier delivery told of."""
    lines = [_headline(notice) + ".", ""]
    lines += _told(notice)
    if notice.count > 1:
        span = f"{_clock(notice.first_at)} to {_clock(notice.last_at)}"
        more = f", {new} of them new" if new < notice.count else ""
        lines.append(f"{notice.count:,} times{more}, {span}.")
    else:
        lines.append(f"At {_clock(notice.last_at)}.")
    if notice.samples:
        lines += ["", "For example:"]
        lines += [f"  {_sample(each)}" for each in notice.samples]
    if link:
        lines += ["", link]
    return "\n".join(lines) + "\n"


def data_of(notice: Notice, new: int) -> dict[str, Any]:
    """As text_of, for programs."""
    told: dict[str, Any] = {
        "notice_id": str(notice.notice_id),
        "domain": notice.domain,
        "topic": notice.topic,
        "process_event": notice.process_event,
        "system": notice.system,
        "member": notice.member,
        "field": notice.field,
        "fingerprint": notice.fingerprint,
        "detail": notice.detail,
        "count": notice.count,
        "new": new,
        "first": notice.first_at.isoformat(),
        "last": notice.last_at.isoformat(),
        "samples": [dict(each) for each in notice.samples],
    }
    if notice.began_at is not None:
        told["outage"] = {
            "began": notice.began_at.isoformat(),
            "over": notice.state != OPEN,
            "seconds": notice.seconds,
            "waited": notice.waited,
            "parked": notice.parked,
        }
    return told


def place_of(notice: Notice) -> str:
    """Where in the API more is known of it."""
    match notice.topic:
        case "system.tripped" | "system.recovered":
            return f"systems/{notice.system}"
        case "message.parked" | "change.failed":
            return f"problems/{notice.fingerprint}"
        case "conflict.opened" | "oscillation":
            return "conflicts?state=open"
        case "definition.changed":
            return f"definitions/{notice.process_event}"
        case _:
            return "notices"


def lasting(seconds: float) -> str:
    """As people say it: `2 h 5 min`."""
    left, parts = int(seconds), []
    for unit, size in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or f"{left} s"


def _headline(notice: Notice) -> str:
    many = f"{notice.count:,}" if notice.count > 1 else ""
    if (headline := _HEADLINES.get(notice.topic)) is not None:
        return headline(notice, many)
    return f"{notice.topic} {notice.process_event}".strip()


def _parked(notice: Notice, many: str) -> str:
    what = f"{many} messages wait" if many else "a message waits"
    return f"{what} for a person: {notice.process_event} to {notice.system}"


def _failed(notice: Notice, many: str) -> str:
    what = f"{many} changes" if many else "a change"
    return f"{what} cannot be read: {notice.process_event} of {notice.system}"


def _conflict(notice: Notice, many: str) -> str:
    what = f"{many} conflicts" if many else "a conflict"
    return f"{what} about {notice.field} of {notice.process_event}"


def _notified(notice: Notice, many: str) -> str:
    what = f"{many} times {notice.field}" if many else notice.field
    return f"{what}: {notice.process_event} at {notice.member}"


_HEADLINES: dict[str, Callable[[Notice, str], str]] = {
    "system.tripped": lambda n, _: f"{n.system} does not take messages",
    "system.recovered": lambda n, _: f"{n.system} takes messages again",
    "message.parked": _parked,
    "change.failed": _failed,
    "conflict.opened": _conflict,
    "oscillation": lambda n, _: f"a loop about {n.field} of {n.process_event}",
    "definition.changed": lambda n, _: f"{n.process_event}: {n.detail}",
    "flow.notified": _notified,
}


def _told(notice: Notice) -> list[str]:
    match notice.topic:
        case "system.tripped":
            return [*_said(notice), *_held_up(notice), *_standing(notice)]
        case "system.recovered":
            return _recovery(notice)
        case "conflict.opened" | "oscillation":
            return [_UNDECIDED]
        case "definition.changed" | "flow.notified":
            return []
        case "message.parked":
            return [*_said(notice), "Each holds up its own lane: rps problems"]
        case _:
            return _said(notice)


def _said(notice: Notice) -> list[str]:
    return [notice.detail] if notice.detail else []


def _standing(notice: Notice) -> list[str]:
    if notice.state == OPEN:
        return [_WAITS]
    return ["It answers again by now."]


def _recovery(notice: Notice) -> list[str]:
    if notice.began_at is None:
        return []
    times = f" in {notice.count:,} outages" if notice.count > 1 else ""
    return [
        f"It was away for {lasting(notice.seconds)}{times}.",
        *_held_up(notice),
        f"What was wrong: {notice.detail}",
    ]


def _held_up(notice: Notice) -> list[str]:
    found = []
    if notice.waited:
        tense = "wait" if notice.state == OPEN else "waited"
        found.append(f"Messages that {tense} for it: {notice.waited:,}.")
    if notice.parked:
        found.append(
            f"Messages parked because of it, which wait for a person: "
            f"{notice.parked:,}. rps problems shows them."
        )
    return found


def _sample(sample: Any) -> str:
    return ", ".join(f"{name} {value}" for name, value in sample.items())


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
