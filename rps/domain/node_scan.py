"""Asks how a definition goes with the node it is to run on: its systems, accounts, and
what is in flight. The facts are handed in; nothing here looks anything up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rps.domain.between_nodes import NODE
from rps.domain.problem import listed, pointer, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rps.domain.agreement import Definition, Member
    from rps.domain.delivery import Capabilities
    from rps.domain.problem import Findings

POSTING_ROLES = frozenset(("admin", "ih_process_sync", "ih_process_sync_api"))
"""Roles that let an account post changes."""

RELYING = ("owner", "merge", "manual", "local_wins")
"""Policies that keep a value only if rps knows of the other before it writes."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a system is described with of a table; `fields` None: whatever there is."""

    fields: frozenset[str] | None
    journals: frozenset[str]


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """A registered system. `trouble`: why nothing can be sent to it, as its connector
    or the system itself said. `is_linked`: of another node, whether it was accepted.
    `tables` of a system that is described, None of others."""

    connector: str
    state: str
    fault: str = ""
    is_linked: bool = True
    trouble: str = ""
    capabilities: Capabilities | None = None
    tables: Mapping[str, TableFacts] | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is in flight of a member: messages to it by the fields they carry (""
    counts them all), captured changes that nobody has judged, and open conflicts by
    field."""

    messages: Mapping[str, int] = field(default_factory=dict)
    changes: int = 0
    conflicts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a node knows that matters to a definition. `accounts` are those of its
    domain with a live token, by name, with their roles; `names` the process events
    there are beside it."""

    systems: Mapping[str, SystemFacts] = field(default_factory=dict)
    accounts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    in_force: Definition | None = None
    waiting: Mapping[str, Waiting] = field(default_factory=dict)


def look_round(definition: Definition, standing: Standing, found: Findings) -> None:
    """Add what the node gives reason to warn of to `found`."""
    _name_is_its_own(definition, standing, found)
    for member in definition.members.values():
        facts = standing.systems.get(member.system)
        if facts is None:
            cause = f"there is no remote system {shown(member.system)} here"
            remedy = "register it: rps system add"
            if standing.systems:
                known = found.instead_of(member.system, standing.systems)
                remedy = f"{known}; or {remedy}"
            found.add("system-unregistered", _system(member), cause, remedy)
            continue
        _system_takes_part(member, facts, found)
        if facts.tables is not None:
            _is_described(member, facts.tables, found)
        if facts.capabilities is not None:
            _system_can(member, facts.capabilities, definition, found)
        is_asked = facts.capabilities is not None and facts.capabilities.polls
        if facts.connector != NODE and not is_asked:
            _somebody_posts(member, standing, found)
    if standing.in_force is not None:
        _nothing_is_stranded(definition, standing.in_force, standing, found)
        _values_stay(definition, standing.in_force, found)


def _system(member: Member) -> str:
    return pointer("members", member.name, "system")


def _name_is_its_own(
    definition: Definition, standing: Standing, found: Findings
) -> None:
    own = definition.process_event
    for name in standing.names:
        if name != own and name.casefold() == own.casefold():
            cause = f"there is a definition {shown(name)}: capitals count"
            remedy = "choose a name that is told apart, or correct this one"
            found.add("name-alike", "/process_event", cause, remedy)


def _system_takes_part(member: Member, facts: SystemFacts, found: Findings) -> None:
    name, place = shown(member.system), _system(member)
    if not facts.is_linked:
        cause = f"the other node has not accepted the invitation of {name} yet"
        remedy = "rps system accept, over there"
        found.add("system-unlinked", place, cause, remedy)
        return
    if facts.state == "disabled":
        cause = f"{name} is disabled: its changes are refused, its messages wait"
        remedy = f"rps system activate {member.system}"
        found.add("system-disabled", place, cause, remedy)
    if facts.state == "paused":
        cause = f"{name} is paused: its messages wait"
        remedy = f"rps system resume {member.system}"
        found.add("system-paused", place, cause, remedy)
    if facts.fault:
        cause = f"{name} is in error: {facts.fault}"
        remedy = "mend the system; deliveries go on by themselves once it answers"
        found.add("system-failing", place, cause, remedy)
    if facts.trouble:
        cause = f"{name} cannot be reached: {facts.trouble}"
        remedy = "mend that; rps doctor says more"
        found.add("system-unreachable", place, cause, remedy)


def _system_can(
    member: Member, can: Capabilities, definition: Definition, found: Findings
) -> None:
    if not member.takes_values:
        return
    place, name = pointer("members", member.name), shown(member.system)
    if not can.conditional_write and member.captures_values:
        relying = [f for f in member.fields if definition.fields[f].policy in RELYING]
        if relying:
            cause = (
                f"{name} writes without a condition (class {can.grade}): an edit there"
                " that rps has not heard of is lost, whatever the policy of"
                f" {listed(relying)}"
            )
            remedy = "let the system honour If-Match, or report its changes at once"
            found.add("unconditional-write", place, cause, remedy)
        if not member.ignore_changed_by and not can.polls:
            cause = (
                f"{name} shows no revision of what rps wrote: its own writes are told"
                " from edits by their values alone"
            )
            remedy = "name the account that writes there in 'ignore_changed_by'"
            found.add("own-writes-return", place, cause, remedy)
    if not can.dedupe and not can.read_back:
        cause = (
            f"{name} neither knows a message again nor can be asked (class"
            f" {can.grade}): each one whose answer is lost waits for a person"
        )
        remedy = "let the system honour webhook-id, or answer what a record holds"
        found.add("lost-answers", place, cause, remedy)


def _is_described(
    member: Member, tables: Mapping[str, TableFacts], found: Findings
) -> None:
    """Whether the names are those that the system's description has."""
    place = pointer("members", member.name)
    table = tables.get(member.table)
    if table is None:
        cause = f"{member.system} is described without a table {shown(member.table)}"
        remedy = found.instead_of(member.table, tables)
        found.add("described-table", place + pointer("table"), cause, remedy)
        return
    for name, each in member.fields.items():
        if table.fields is not None and each.field not in table.fields:
            cause = f"{member.system} is described without a field {shown(each.field)}"
            remedy = found.instead_of(each.field, table.fields)
            at = place + pointer("fields", name)
            found.add("described-field", at, cause, remedy)
    for name, journal in member.journals.items():
        if journal.journal not in table.journals:
            known = shown(journal.journal)
            cause = f"{member.system} is described without a journal {known}"
            remedy = found.instead_of(journal.journal, table.journals)
            at = place + pointer("journals", name)
            found.add("described-journal", at, cause, remedy)


def _somebody_posts(member: Member, standing: Standing, found: Findings) -> None:
    if not member.capture:
        return
    place = pointer("members", member.name)
    roles = standing.accounts.get(member.system)
    if not any(each & POSTING_ROLES for each in standing.accounts.values()):
        cause = "no account has a live token and a role that may post changes"
        remedy = f"rps token issue {member.system} --role ih_process_sync_api"
        found.add("nobody-posts", place, cause, remedy)
    elif roles is not None and not roles & POSTING_ROLES:
        cause = f"the account {shown(member.system)} may not post changes"
        remedy = f"rps token issue {member.system} --role ih_process_sync_api"
        found.add("poster-role", place, cause, remedy)


def _nothing_is_stranded(
    definition: Definition, old: Definition, standing: Standing, found: Findings
) -> None:
    for name, before in old.members.items():
        waiting = standing.waiting.get(name, Waiting())
        member = definition.members.get(name)
        if member is None:
            _member_is_gone(name, waiting, found)
            continue
        if (member.system, member.table) != (before.system, before.table):
            cause = (
                f"{shown(name)} was {shown(f'{before.system}.{before.table}')}: its"
                " copies are records of that table, and stay linked to them"
            )
            remedy = "give another table another member"
            found.add("member-moved", pointer("members", name), cause, remedy)
        for shared in before.fields:
            if shared not in member.fields:
                _field_is_gone(name, shared, waiting, found)


def _member_is_gone(name: str, waiting: Waiting, found: Findings) -> None:
    if count := waiting.messages.get("", 0):
        cause = (
            f"{count} message(s) wait for {shown(name)}, which is a member no more:"
            " they are still sent, and what the member makes of them is ignored"
        )
        remedy = "let the queue run empty first, or skip them"
        found.add("messages-stranded", "/members", cause, remedy)
    if waiting.changes:
        cause = (
            f"{waiting.changes} change(s) of {shown(name)} are not judged yet: as it"
            " is a member no more they will be ignored"
        )
        remedy = "let the queue run empty first"
        found.add("changes-stranded", "/members", cause, remedy)
    if count := sum(waiting.conflicts.values()):
        cause = f"{count} conflict(s) with {shown(name)} are open, a member no more"
        remedy = "decide them first: rps conflict list"
        found.add("conflicts-stranded", "/members", cause, remedy)


def _field_is_gone(name: str, shared: str, waiting: Waiting, found: Findings) -> None:
    place = pointer("members", name, "fields")
    if count := waiting.messages.get(shared, 0):
        cause = (
            f"{count} message(s) to {shown(name)} carry {shown(shared)}, which it maps"
            " no more: they are still sent with it"
        )
        remedy = "let the queue run empty first, or skip them"
        found.add("field-stranded", place, cause, remedy)
    if count := waiting.conflicts.get(shared, 0):
        cause = (
            f"{count} conflict(s) about {shown(shared)} with {shown(name)} are open,"
            " which maps it no more"
        )
        remedy = "decide them first: rps conflict list"
        found.add("conflicts-stranded", place, cause, remedy)


def _values_stay(definition: Definition, old: Definition, found: Findings) -> None:
    for name, shared in definition.fields.items():
        before = old.fields.get(name)
        if before is None:
            continue
        place = pointer("fields", name)
        if before.type != shared.type:
            cause = (
                f"{shown(name)} was a {before.type} field: what is shared already is"
                " not converted"
            )
            remedy = "give a field of another type another name"
            found.add("type-changed", place + "/type", cause, remedy)
        elif gone := [v for v in before.values if v not in shared.known_values]:
            cause = f"{listed(gone)} may be shared already, and can be read no more"
            remedy = "keep the values until no record has them"
            found.add("value-removed", place + "/values", cause, remedy)
