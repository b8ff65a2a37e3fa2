"""What people decide about a whole correlation, and about who takes part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from eventsourcing.persistence import IntegrityError

from rps.application.lane_commands import LaneCommands, NotFound
from rps.domain.correlation import Correlation
from rps.domain.membership import MemberUnknown

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rps.domain.agreement import Definition


class RecordTaken(Exception):
    """The record was linked to another correlation since."""


class Memberships(LaneCommands):
    """Each between two judgements, so that none is made about what was before."""

    def unlink(
        self,
        domain: str,
        correlation_id: UUID,
        member: str,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Let a member take no part any more. NotFound, LaneBusy."""
        correlation = self._correlation(domain, correlation_id)
        _, definition = self._in_force(correlation)
        if member not in {*definition.members, *correlation.links}:
            raise NotFound(f"{correlation.process_event} has no member {member}")
        with self._nothing_sent(correlation_id, member):
            self._between_judgements(
                correlation_id, lambda c: c.unlink(member, reason, actor, now)
            )

    def relink(
        self,
        domain: str,
        correlation_id: UUID,
        member: str,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Let an unlinked member take part again. NotFound, LaneBusy, RecordTaken."""
        link = self._correlation(domain, correlation_id).unlinked.get(member)
        record = link.record_id if link else ""

        def tell(correlation: Correlation) -> None:
            revision, definition = self._in_force(correlation)
            if member not in {*definition.members, *correlation.links}:
                raise MemberUnknown(member)
            correlation.relink(member, definition, revision, reason, actor, now)

        try:
            self._between_judgements(correlation_id, tell)
        except MemberUnknown as unknown:
            raise NotFound(f"{unknown} is no member") from None
        except IntegrityError:
            where = f"{record} of {member} is linked elsewhere by now"
            raise RecordTaken(where) from None

    def deactivate(
        self,
        domain: str,
        correlation_id: UUID,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Share nothing of it any more. NotFound, LaneBusy."""
        self._correlation(domain, correlation_id)
        self._between_judgements(
            correlation_id, lambda c: c.deactivate(reason, actor, now)
        )

    def reactivate(
        self,
        domain: str,
        correlation_id: UUID,
        reason: str,
        actor: str,
        now: datetime,
    ) -> None:
        """Share it again. NotFound, LaneBusy."""
        self._correlation(domain, correlation_id)

        def tell(correlation: Correlation) -> None:
            revision, definition = self._in_force(correlation)
            correlation.reactivate(definition, revision, reason, actor, now)

        self._between_judgements(correlation_id, tell)

    def _between_judgements(
        self, correlation_id: UUID, tell: Callable[[Correlation], object]
    ) -> None:
        self._on_lane(correlation_id, "in", "", tell)

    def _correlation(self, domain: str, correlation_id: UUID) -> Correlation:
        found = self._application.find(Correlation, correlation_id)
        if found is None or found.domain != domain or not found.opened:
            raise NotFound(f"no correlation {correlation_id}")
        return found

    def _in_force(self, correlation: Correlation) -> tuple[int, Definition]:
        configuration = self._application.configuration.refresh()
        return configuration.newest(UUID(correlation.definition), 1)
