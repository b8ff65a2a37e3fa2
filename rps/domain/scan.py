"""Asks whether a definition makes sense: would everything shared arrive, and safely.

Each check has a stable code. A check says nothing about a part whose shape is already
refused (`Findings.broken`), so one mistake is told once.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rps.domain.condition_scan import condition_is_sound
from rps.domain.map_scan import constants_are_sound, map_is_sound
from rps.domain.name_scan import name_is_free
from rps.domain.problem import pointer, shown
from rps.domain.reach_scan import members_are_reached
from rps.domain.step_scan import flows_are_sound
from rps.domain.visibility import leaks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rps.domain.agreement import Definition, JournalMap, Member, SharedField
    from rps.domain.problem import Findings

MEMBERS_MIN = 2


def scan(definition: Definition, found: Findings) -> None:
    """Add every problem of `definition` to `found`."""
    name_is_free(definition, found)
    for shared in definition.fields.values():
        _field_agrees_with_its_type(shared, found)
        _owner_can_write(shared, definition, found)
    for member in definition.members.values():
        _member_names_what_is_shared(member, definition, found)
        _remote_names_are_used_once(member, found)
        _member_takes_part(member, found)
        condition_is_sound(member, definition, found)
        for each in member.fields.values():
            if each.shared in definition.fields:
                map_is_sound(each, member, definition, found)
        constants_are_sound(member, definition, found)
        flows_are_sound(member, definition, found)
        for journal in member.journals.values():
            _journal_does_not_leak(journal, member, definition, found)
    _members_are_apart(definition, found)
    if _something_travels(definition, found):
        told = len(found)
        _everything_arrives(definition, found)
        if len(found) == told:  # else this is the same mistake, seen from its member
            members_are_reached(definition, found)
        _attachments_arrive(definition, found)


def _field_agrees_with_its_type(shared: SharedField, found: Findings) -> None:
    place = pointer("fields", shared.name)
    if place in found.broken or place + "/type" in found.broken:
        return
    if shared.values and shared.type != "choice":
        cause = f"a {shared.type} field has no list of values"
        remedy = "leave 'values' out, or write 'type: choice'"
        found.add("type-mismatch", place + "/values", cause, remedy)
    if shared.max_length is not None and shared.type != "text":
        cause = f"a {shared.type} field has no length"
        remedy = "leave 'max_length' out; it belongs to 'type: text'"
        found.add("type-mismatch", place + "/max_length", cause, remedy)
    if shared.policy == "merge" and shared.type not in ("tags", "text"):
        cause = f"two {shared.type} values cannot be merged"
        remedy = "choose another policy; 'merge' belongs to tags and texts"
        found.add("type-mismatch", place + "/policy", cause, remedy)
    empty = not shared.values and place + "/values" not in found.broken
    if shared.type == "choice" and empty:
        remedy = "add 'values: [...]' with every value the members agree on"
        found.add("values-missing", place, "a choice needs its values", remedy)


def _owner_can_write(
    shared: SharedField, definition: Definition, found: Findings
) -> None:
    place = pointer("fields", shared.name)
    if place + "/owner" in found.broken or place + "/policy" in found.broken:
        return
    if shared.owner is None:
        if shared.policy == "owner":
            remedy = "add 'owner:' with the member whose value counts"
            found.add("owner-missing", place, "the policy needs an owner", remedy)
        return
    if shared.policy != "owner":
        cause = f"the policy '{shared.policy}' does not ask who owns the field"
        remedy = "write 'policy: owner', or leave 'owner' out"
        found.add("owner-unused", place + "/owner", cause, remedy)
    _owner_is_heard(shared, shared.owner, definition, found)


def _owner_is_heard(
    shared: SharedField, name: str, definition: Definition, found: Findings
) -> None:
    place = pointer("fields", shared.name)
    owner = definition.members.get(name)
    if owner is None:
        if "/members" not in found.broken:
            cause = f"there is no member {shown(name)}"
            remedy = found.instead_of(name, definition.members)
            found.add("owner-unknown", place + "/owner", cause, remedy)
        return
    if found.unsure("members", owner.name, "fields", shared.name):
        return
    if shared.name not in owner.fields:
        cause = f"the owner {shown(owner.name)} does not map the field"
        remedy = "map it there, or name another owner"
        found.add("owner-cannot-write", place + "/owner", cause, remedy)
    elif not owner.captures_values and not _capture_unsure(owner, found):
        cause = f"nothing is captured from the owner {shown(owner.name)}"
        remedy = "capture create or update there, or name another owner"
        found.add("owner-cannot-write", place + "/owner", cause, remedy)


def _member_names_what_is_shared(
    member: Member, definition: Definition, found: Findings
) -> None:
    kinds: tuple[tuple[str, Iterable[str], Mapping[str, object]], ...] = (
        ("field", member.fields, definition.fields),
        ("journal", member.journals, definition.journals),
    )
    for kind, named, shared in kinds:
        if f"/{kind}s" in found.broken:
            continue
        for name in named:
            place = pointer("members", member.name, f"{kind}s", name)
            if name not in shared and place not in found.broken:
                cause = f"there is no shared {kind} {shown(name)}"
                remedy = found.instead_of(name, shared)
                found.add(f"unknown-{kind}", place, cause, remedy)


def _remote_names_are_used_once(member: Member, found: Findings) -> None:
    """Else a value that comes back from there could belong to either."""
    used: defaultdict[str, list[str]] = defaultdict(list)
    for each in member.fields.values():
        used[each.field].append(pointer("members", member.name, "fields", each.shared))
    for journal in member.journals.values():
        place = pointer("members", member.name, "journals", journal.shared)
        used[journal.journal].append(place)
    for remote in member.constants:
        used[remote].append(pointer("members", member.name, "constants", remote))
    for remote, places in used.items():
        for place in places[1:]:
            if remote:
                cause = f"{shown(remote)} is already mapped at {found.where(places[0])}"
                remedy = "map each field and journal of a member once"
                found.add("remote-name-twice", place, cause, remedy)


def _member_takes_part(member: Member, found: Findings) -> None:
    place = pointer("members", member.name)
    if place in found.broken:
        return
    unsure = {place + "/fields", place + "/journals"} & found.broken
    if not member.fields and not member.journals and not unsure:
        remedy = "map a field or a journal, or leave the member out"
        found.add("maps-nothing", place, "the member maps nothing", remedy)
    unsure = {place + "/capture", place + "/deliver"} & found.broken
    if not member.capture and not member.deliver and not unsure:
        cause = "nothing is captured from the member or delivered to it"
        remedy = "add operations to 'capture' or 'deliver', or leave the member out"
        found.add("member-idle", place, cause, remedy)


def _journal_does_not_leak(
    journal: JournalMap, member: Member, definition: Definition, found: Findings
) -> None:
    shared = definition.journals.get(journal.shared)
    place = pointer("members", member.name, "journals", journal.shared)
    unsure = found.unsure("journals", journal.shared, "visibility")
    if shared is None or unsure or place + "/visibility" in found.broken:
        return
    name = shown(journal.journal)
    if leaks(shared.visibility, journal.visibility):
        cause = f"{shown(shared.name)} is internal, {name} is read by customers there"
        remedy = "map it to an internal journal, or vouch with 'visibility: internal'"
        found.add("internal-to-public", place, cause, remedy)
    elif leaks(journal.visibility, shared.visibility) and member.captures_values:
        cause = f"{name} is internal there, {shown(shared.name)} is public"
        remedy = "map it to an internal shared journal, or capture nothing there"
        found.add("internal-to-public", place, cause, remedy)


def _members_are_apart(definition: Definition, found: Findings) -> None:
    if len(definition.members) < MEMBERS_MIN and "/members" not in found.broken:
        cause = f"there are {len(definition.members)} members"
        found.add("too-few-members", "/members", cause, "name at least two")
    first: dict[tuple[str, str], str] = {}
    for name, member in definition.members.items():
        other = first.setdefault((member.system, member.table), name)
        if other != name and member.system and member.table:
            cause = f"{shown(other)} is the same table of the same system: a loop"
            remedy = "name each table in one member only"
            found.add("same-table", pointer("members", name), cause, remedy)


def _something_travels(definition: Definition, found: Findings) -> bool:
    """Whether it is worth asking which way each single field goes."""
    members = definition.members.values()
    if len(members) < MEMBERS_MIN or any(_capture_unsure(m, found) for m in members):
        return False
    captured = any(member.capture for member in members)
    delivered = any(member.deliver for member in members)
    if not captured:
        remedy = "give a member 'capture: [create, update]'"
        found.add("nothing-captured", "/members", "no member is captured", remedy)
    if not delivered:
        remedy = "give a member 'deliver: [create, update]'"
        found.add("nothing-delivered", "/members", "no member takes a write", remedy)
    return captured and delivered


def _capture_unsure(member: Member, found: Findings) -> bool:
    place = pointer("members", member.name)
    return not found.broken.isdisjoint({place, place + "/capture", place + "/deliver"})


def _everything_arrives(definition: Definition, found: Findings) -> None:
    members = definition.members.values()
    for name in definition.fields:
        mapping = [m for m in members if name in m.given]
        told = [m for m in members if name in m.sent]
        _arrives("field", name, (mapping, told), definition, found)
    for name in definition.journals:
        mapping = [m for m in members if name in m.journals]
        _arrives("journal", name, (mapping, mapping), definition, found)


def _arrives(
    kind: str,
    name: str,
    ways: tuple[list[Member], list[Member]],
    definition: Definition,
    found: Findings,
) -> None:
    """`ways`: the members that map it, and those that are told it."""
    mapping, told = ways
    if found.unsure(f"{kind}s", name) or any(
        found.unsure("members", member, f"{kind}s") for member in definition.members
    ):
        return
    sources = [member for member in mapping if member.captures_values]
    targets = [member for member in told if member.takes_values]
    if not mapping:
        code, cause = "unmapped", "no member maps it"
    elif len({member.name for member in (*mapping, *told)}) == 1:
        code, cause = "mapped-once", f"only {shown(mapping[0].name)} maps it"
    elif not sources:
        code, cause = "not-captured", "no member that maps it captures values"
    elif not targets:
        code, cause = "not-delivered", "no member that maps it takes values"
    elif sources == targets and len(sources) == 1:
        code = "goes-nowhere"
        cause = f"only {shown(sources[0].name)} captures it, and only it would get it"
    else:
        return
    remedy = "map it in a member that captures it and in another that gets it"
    found.add(f"{kind}-{code}", pointer(f"{kind}s", name), cause, remedy)


def _attachments_arrive(definition: Definition, found: Findings) -> None:
    """Each file reaches somebody, or its people read that it does not."""
    terms = definition.attachments
    if terms is None and definition.attachments_kept_days is not None:
        remedy = "add 'attachments:', or leave it out"
        place = pointer("retention", "attachments")
        found.add("retention-unused", place, "no files are shared", remedy)
    if terms is None or found.unsure("attachments"):
        return
    place = pointer("attachments")
    if terms.journal not in definition.journals:
        if not found.unsure("attachments", "journal") and not found.unsure("journals"):
            cause = f"there is no shared journal {shown(terms.journal)}"
            remedy = found.instead_of(terms.journal, definition.journals)
            found.add("unknown-journal", place + "/journal", cause, remedy)
        return
    having = [each for each in definition.members.values() if each.attachments]
    sources = [member for member in having if member.captures_values]
    targets = [member for member in having if member.takes_values]
    if not any(source != target for source in sources for target in targets):
        cause = "no member that gives files has another one to take them"
        remedy = "let two members take part, or leave 'attachments' out"
        found.add("attachments-goes-nowhere", place, cause, remedy)
    for member in sources:
        maps = terms.journal in member.journals
        unsure = found.unsure("members", member.name, "journals")
        if member.takes_values and not maps and not unsure:
            cause = "people there would not read of a file that is refused: the member"
            remedy = "map the journal there, or write 'attachments: false'"
            found.add(
                "attachments-untold",
                pointer("members", member.name),
                f"{cause} does not map {shown(terms.journal)}",
                remedy,
            )
