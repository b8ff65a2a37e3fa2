"""Asks whether the steps of a member's flows make sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rps.domain import flow as maps
from rps.domain.condition import ConditionRefused, bind, comparisons
from rps.domain.execution import place_of
from rps.domain.problem import shown
from rps.domain.steps import (
    LookupStep,
    SetStep,
    conditions,
    names_in,
    targets,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.domain.agreement import Definition, Member
    from rps.domain.condition import Condition
    from rps.domain.problem import Findings
    from rps.domain.steps import Flow, Step


def flows_are_sound(member: Member, definition: Definition, found: Findings) -> None:
    """Add what is wrong with the steps of the member's flows to `found`."""
    for flow in member.flows.values():
        place = f"/members/{member.name}/flows/{flow.direction}"
        _flow_is_used(member, flow, place, found)
        if found.unsure("fields") or found.unsure("members", member.name, "fields"):
            continue
        known: set[str] = set()
        for at, step in enumerate(flow.steps):
            if place_of(member.name, flow, at) in found.broken:
                continue
            _Step(member, definition, flow, at, step, known, found).scan()
            known |= targets(step)


def _flow_is_used(member: Member, flow: Flow, place: str, found: Findings) -> None:
    used = (
        member.captures_values if flow.direction == "inbound" else member.takes_values
    )
    key = "capture" if flow.direction == "inbound" else "deliver"
    if not used and not found.unsure("members", member.name, key):
        verb = "captured from" if flow.direction == "inbound" else "written to"
        cause = f"nothing is {verb} the member, so no step would run"
        found.add("flow-unused", place, cause, f"give '{key}', or leave the flow out")


class _Step:
    """One step, next to the fields that it may name. `known` are those that the steps
    before it wrote."""

    def __init__(
        self,
        member: Member,
        definition: Definition,
        flow: Flow,
        at: int,
        step: Step,
        known: set[str],
        found: Findings,
    ) -> None:
        self.member, self.definition = member, definition
        self.flow, self.at, self.step = flow, at, step
        self.known, self.found = known, found
        self.place = place_of(member.name, flow, at)
        self.scope = flow.scope(at)

    def scan(self) -> None:
        for key, text in conditions(self.step):
            self._condition(key, text)
        if self.step.kind == "map":
            return
        self._names()
        for name in sorted(targets(self.step)):
            self._target(name)
        if isinstance(self.step, SetStep):
            for name, value in self.step.values.items():
                self._literal(name, value)
        if isinstance(self.step, LookupStep) and self.step.at:
            self._asked_member(self.step.at)

    def _add(self, code: str, key: str, cause: str, remedy: str) -> None:
        self.found.add(code, f"{self.place}{key}", cause, remedy)

    # --- conditions -----------------------------------------------------------------

    def _condition(self, key: str, text: str) -> None:
        subjects = self.definition.subjects(self.member, self.flow, self.at)
        try:
            bound = bind(text, subjects)
        except ConditionRefused as refused:
            for flaw in refused.flaws:
                cause = f"column {flaw.column} of the condition: {flaw.cause}"
                remedy = flaw.remedy.replace("map it under 'fields', or ", "")
                self._add(flaw.code, f"/{key}", cause, remedy)
            return
        self._before_is_known(key, bound)

    def _before_is_known(self, key: str, bound: Condition) -> None:
        if self.flow.direction == "inbound":
            return
        for asked in comparisons(bound.tree):
            if asked.operator == "CHANGESFROM":
                cause = (
                    f"column {asked.column} of the condition: a message does not say"
                    " what a field was before"
                )
                remedy = "ask what it changes to, or ask in the inbound flow"
                self._add("condition-operator", f"/{key}", cause, remedy)

    # --- names ----------------------------------------------------------------------

    def _names(self) -> None:
        """Fields in texts. A change may carry fields that nobody maps; elsewhere it is
        known what there is."""
        if (self.scope, self.flow.direction) == ("member", "inbound"):
            return
        there = set(self._there()) | self.known
        for name in sorted(self.step.reads - there):
            cause = f"there is no field {shown(name)} for the step to read"
            self._add("step-field", "", cause, self.found.instead_of(name, there))

    def _there(self) -> Iterator[str]:
        if self.scope == "shared":
            yield from self.definition.fields
        else:
            yield from self.member.by_field
            yield from self.member.constants

    def _target(self, name: str) -> None:
        """Behind the map of an outbound flow any field of the member may be written."""
        if self.scope == "member" and self.flow.direction == "outbound":
            return
        there = set(self.definition.fields)
        whose = "shared field"
        if self.scope == "member":
            there, whose = set(self.member.by_field), "field of the member in its map"
        if name not in there:
            cause = f"there is no {whose} called {shown(name)}"
            remedy = self.found.instead_of(name, there)
            self._add("step-field", "", cause, remedy)

    def _literal(self, name: str, value: Any) -> None:
        """A value that is no text with fields in it has to be one of the field's."""
        if value is None or names_in(value):
            return
        try:
            if self.scope == "shared" and name in self.definition.fields:
                if not self.found.unsure("fields", name):
                    maps.checked_value(self.definition.fields[name], value)
            elif self.scope == "member" and name in self.member.by_field:
                shared = self.member.by_field[name].shared
                if shared in self.definition.fields:
                    maps.inbound(self.member, self.definition, {name: value})
        except maps.MappingRefused as refused:
            cause = f"{shown(name)} cannot be {shown(value)}: it {refused.detail}"
            remedy = "write a value that the field can have"
            self._add("step-value", "/set", cause, remedy)

    def _asked_member(self, name: str) -> None:
        members = self.definition.members
        if name not in members and not self.found.unsure("members"):
            cause = f"there is no member {shown(name)} to ask"
            remedy = self.found.instead_of(name, members)
            self._add("step-member", f"/{self.step.kind}/at", cause, remedy)
