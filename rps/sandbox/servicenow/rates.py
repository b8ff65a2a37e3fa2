"""Rate limits: counted by rule and user in windows of the clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.sandbox.servicenow.access import Actor
    from rps.sandbox.servicenow.behaviour import RateRule


@dataclass(frozen=True, slots=True)
class Counted:
    """A request under `rule`; `ends_at` is UNIX time."""

    rule: RateRule
    count: int
    ends_at: int

    @property
    def exceeded(self) -> bool:
        return self.count > self.rule.limit


class Rates:
    """What each user has asked for, since the process began."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}
        self._lock = threading.Lock()

    def count(
        self, rules: Iterable[RateRule], actor: Actor, now: float
    ) -> Counted | None:
        """Count a request under the first rule about the user, if there is one."""
        for rule in rules:
            if _is_about(rule, actor):
                return self._counted(rule, actor, int(now))
        return None

    def _counted(self, rule: RateRule, actor: Actor, now: int) -> Counted:
        ends_at = now - now % rule.seconds + rule.seconds
        key = (rule.id, actor.name)
        with self._lock:
            count, window = self._counts.get(key, (0, ends_at))
            count = count + 1 if window == ends_at else 1
            self._counts[key] = (count, ends_at)
        return Counted(rule, count, ends_at)


def _is_about(rule: RateRule, actor: Actor) -> bool:
    if rule.user:
        return rule.user == actor.name
    return not rule.role or rule.role in actor.roles
