"""Known causes of mistakes, and what people do about each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rps.domain.fingerprint import Fault

CREDENTIALS = (401, 403)
RETRY = "rps problems retry {fingerprint}"


@dataclass(frozen=True, slots=True)
class Cause:
    """`code` never changes its meaning; the texts may name what a fault has."""

    code: str
    fits: Callable[[Fault], bool]
    cause: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Explained:
    code: str
    cause: str
    remedy: str


def explained(fault: Fault) -> Explained:
    """Why it fails, and what to do: the first known cause that fits."""
    found = next(each for each in CAUSES if each.fits(fault))
    told = {
        "member": fault.member,
        "system": fault.system or fault.member,
        "field": fault.field or "a field",
        "step": fault.step,
        "status": fault.status,
        "process_event": fault.process_event or "the definition",
        "fingerprint": fault.fingerprint,
    }
    return Explained(found.code, _said(found.cause, told), _said(found.remedy, told))


def _said(text: str, told: Mapping[str, Any]) -> str:
    return text.format_map(told)


def _says(*parts: str) -> Callable[[Fault], bool]:
    return lambda fault: any(part in fault.pattern for part in parts)


def _kind(*kinds: str) -> Callable[[Fault], bool]:
    return lambda fault: fault.kind in kinds


def _answered(least: int, most: int) -> Callable[[Fault], bool]:
    return lambda fault: least <= fault.status <= most


# The first that fits counts: special ones before general ones.
CAUSES: tuple[Cause, ...] = (
    Cause(
        "step-failed",
        lambda fault: bool(fault.step),
        "The step {step} of {member} could not be done.",
        "See what the examples say, mend the definition or what the step needs, then "
        f"{RETRY}.",
    ),
    Cause(
        "value-unknown",
        _says("is not a shared value", "has no shared value", "has no remote value"),
        "{field} of {member} has a value that the definition has no place for.",
        "Add the value to the field in {process_event} and publish it (rps definition "
        f"apply), then {RETRY}. Or correct the record and skip.",
    ),
    Cause(
        "value-too-long",
        _says("characters, at most"),
        "{field} of {member} has a longer text than fits.",
        "Raise max_length in {process_event}, or let the member truncate it, then "
        f"{RETRY}. Or shorten it in the record and skip.",
    ),
    Cause(
        "internal-to-public",
        _says("an internal note would become public"),
        "An internal note would come where customers read.",
        "Map the journal to an internal one, or vouch for its visibility, then "
        f"{RETRY}. Else skip.",
    ),
    Cause(
        "value-unreadable",
        lambda fault: bool(fault.field),
        "{field} of {member} has a value that is not of the field's type.",
        "Change the field's type or its map in {process_event}, then "
        f"{RETRY}. Or correct the record and skip.",
    ),
    Cause(
        "attachment-missing",
        _says("to get the file", "to get"),
        "The system that offered a file does not give it.",
        f"See that the file can be had there, then {RETRY}. Skip sends what is missing "
        "to nobody.",
    ),
    Cause(
        "attachment-differs",
        _says("is not what was offered", "let it be offered again"),
        "A file is another one by now than the one that was offered.",
        "Let the system offer it again, and skip these.",
    ),
    Cause(
        "record-gone",
        _says("the record is not there any more"),
        "{system} does not have the record any more.",
        "Was it deleted there? Then skip, and unlink {member} if it is to stay so. "
        f"Was it restored? Then {RETRY}.",
    ),
    Cause(
        "moved-too-often",
        _says("made anew"),
        "{system} said each time that its record had moved.",
        "Somebody, or an automation there, changes the record at every write: stop "
        f"that, then {RETRY}.",
    ),
    Cause(
        "record-of-another",
        _says("belongs to another correlation"),
        "{system} answered with a record that is shared as something else.",
        "Find out there which record is meant. Unlink one of the two, then skip.",
    ),
    Cause(
        "unsettled",
        _says("a person must look"),
        "It may have been written at {system}, which cannot be asked.",
        f"Look there. Is it written? Then skip. If not: {RETRY}.",
    ),
    Cause(
        "credentials",
        lambda fault: fault.kind == "credentials" or fault.status in CREDENTIALS,
        "{system} does not accept us ({status}).",
        "Put its secret right (rps system add {system} --secret-file …), then rps "
        "system activate {system}: what waits goes on by itself.",
    ),
    Cause(
        "system-gone",
        lambda fault: fault.kind == "gone" or fault.status == 410,  # noqa: PLR2004 - Gone
        "{system} answered that it is not there any more; it was disabled.",
        "Register its new address (rps system add), then rps system activate {system}.",
    ),
    Cause(
        "node-postponed",
        _kind("postponed"),
        "The other node does not share this process event or field yet.",
        "Let them publish {process_event} as it is here: what waits goes on by itself.",
    ),
    Cause(
        "answer-lost",
        _kind("uncertain"),
        "{system} gave no whole answer: it may have been written or not.",
        "It is asked what became of it; nothing is to be done. A retry sends it again "
        "unasked.",
    ),
    Cause(
        "throttled",
        _answered(429, 429),
        "{system} asks for a pause.",
        "It is sent later by itself. Does it go on for long? Ask there for a higher "
        "limit.",
    ),
    Cause(
        "not-found",
        _answered(404, 404),
        "{system} does not know the record or the address.",
        "Check the URL (rps doctor) and whether the record is there, then "
        f"{RETRY}, or skip.",
    ),
    Cause(
        "too-large",
        _answered(413, 413),
        "{system} takes no message of this size.",
        f"Raise its limit, then {RETRY}. Or share less, and skip.",
    ),
    Cause(
        "moved",
        lambda fault: fault.status in (409, 412),
        "{system} says that its record has moved, and it could not be read.",
        f"See that records of {{system}} can be read, then {RETRY}.",
    ),
    Cause(
        "refused",
        _answered(400, 499),
        "{system} refuses it ({status}).",
        "Its text says what is missing there: mend that, or the map in "
        f"{{process_event}}, then {RETRY}, or skip.",
    ),
    Cause(
        "system-fails",
        _answered(500, 599),
        "{system} has an error of its own ({status}).",
        "Mend it there. What is tried again goes on by itself; what waits for a "
        f"person: {RETRY}.",
    ),
    Cause(
        "unreachable",
        _kind("retryable"),
        "{system} cannot be reached.",
        "See that it runs and that its address is right (rps doctor): what waits "
        "goes on by itself.",
    ),
    Cause(
        "gave-up",
        _says("tried"),
        "{system} could not be reached at any of the attempts.",
        f"See that it runs and that its address is right (rps doctor), then {RETRY}.",
    ),
    Cause(
        "other",
        lambda _: True,
        "It is not known what this comes from.",
        f"Look at the examples (rps problems show {{fingerprint}}), then {RETRY}, or "
        "skip.",
    ),
)
