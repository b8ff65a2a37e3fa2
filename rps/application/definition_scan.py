"""All that can be said of a definition before it is put in force on this node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rps.application.connections import REST, ConnectorUnknown
from rps.connectors.rest.reading import read_description
from rps.connectors.signature import SecretUnusable
from rps.domain.advice import advise
from rps.domain.beside_scan import compare, contradictions
from rps.domain.between_nodes import NODE
from rps.domain.document import parse
from rps.domain.node_scan import Standing, SystemFacts, TableFacts, look_round
from rps.domain.problem import DefinitionRefused, Findings
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.yaml_document import placed_in
from rps.projections.definition_questions import DefinitionQuestions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.application import RemoteProcessSync
    from rps.application.configuration import Configuration
    from rps.domain.agreement import Definition
    from rps.domain.delivery import Connector
    from rps.domain.problem import Problem
    from rps.domain.remote_system import RemoteSystem


@dataclass(frozen=True, slots=True)
class Scanned:
    """`problems` keep it from being published, `warnings` do not."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def drafted(aggregate: ProcessSyncDefinition) -> tuple[Definition, str]:
    """The draft as today's rules read it; raises DefinitionRefused."""
    try:
        return parse(aggregate.document), aggregate.source
    except DefinitionRefused as refused:
        placed = placed_in(aggregate.source, refused.problems)
        raise DefinitionRefused(placed) from None


class DefinitionScan:
    """`connect` makes the connector of a system."""

    def __init__(
        self,
        application: RemoteProcessSync,
        connect: Callable[[RemoteSystem], Connector],
    ) -> None:
        self._application = application
        self._connect = connect
        self._questions = DefinitionQuestions(application.datastore)

    def scan(
        self,
        read: Callable[[], tuple[Definition, str]],
        now: datetime,
        *,
        reach: bool = False,
    ) -> Scanned:
        """What `read` gives (a definition and the text it was written as), or all that
        is wrong with it. `reach`: ask each system whether it answers and accepts us."""
        try:
            definition, source = read()
        except DefinitionRefused as refused:
            return Scanned(refused.problems, ())
        scanned = self._scanned(definition, now, reach=reach)
        return Scanned(
            placed_in(source, scanned.problems), placed_in(source, scanned.warnings)
        )

    def _scanned(
        self, definition: Definition, now: datetime, *, reach: bool
    ) -> Scanned:
        configuration = self._application.configuration.refresh()
        others = list(configuration.in_force(definition.domain))
        found = Findings()
        advise(definition, found)
        compare(definition, others, found)
        standing = self._standing(definition, configuration, now, reach=reach)
        look_round(definition, standing, found)
        return Scanned(contradictions(definition, others), found.in_order())

    def _standing(
        self,
        definition: Definition,
        configuration: Configuration,
        now: datetime,
        *,
        reach: bool,
    ) -> Standing:
        domain = definition.domain
        key = ProcessSyncDefinition.id_of(domain, definition.process_event)
        known = configuration.aggregates.get(key)
        asked = {member.system for member in definition.members.values()}
        return Standing(
            systems={
                each.name: self._facts(each, reach=reach and each.name in asked)
                for each in configuration.systems()
                if each.domain == domain
            },
            accounts={
                each.name: frozenset(each.roles)
                for each in configuration.accounts()
                if each.domain == domain
                and any(token.expires_at > now for token in each.tokens.values())
            },
            names=tuple(
                each.process_event
                for each in configuration.definitions()
                if each.domain == domain
            ),
            in_force=(
                configuration.definition_at(key, known.revision)
                if known is not None and known.published
                else None
            ),
            waiting=self._questions.waiting(domain, key),
        )

    def _facts(self, system: RemoteSystem, *, reach: bool) -> SystemFacts:
        is_linked = system.connector != NODE or bool(system.settings.get("url"))
        trouble, capabilities = "", None
        if is_linked:
            try:
                connector = self._connect(system)
            except ConnectorUnknown as error:
                trouble = f"there is no connector {error}"
            except SecretUnusable as error:
                trouble = str(error)
            else:
                capabilities = connector.capabilities
                if reach:
                    works, said = connector.check()
                    trouble = "" if works else said or "it does not answer"
        return SystemFacts(
            system.connector,
            system.state,
            system.fault,
            is_linked,
            trouble,
            capabilities,
            _tables(system),
        )


def _tables(system: RemoteSystem) -> dict[str, TableFacts] | None:
    """Of a system that is described, as far as this version reads its description."""
    if system.connector != REST:
        return None
    try:
        tables = read_description(system.settings["described"]).tables
    except DefinitionRefused:
        return None
    return {
        name: TableFacts(
            None if each.record.fields_at else frozenset(each.record.fields),
            frozenset(each.comments.journals if each.comments else ()),
        )
        for name, each in tables.items()
    }
