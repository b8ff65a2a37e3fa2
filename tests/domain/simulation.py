"""Random schedules of edits, deliveries and mishaps, and what must hold after them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulated_node import Node
from simulated_people import MEMBERS, People

if TYPE_CHECKING:
    from simulated_remote import Remote

STEPS = 60
DELIVERIES_MAX = 6
"""Writes to a member after all had arrived, beyond what was waiting for it then."""
ROUNDS_MAX = 200


@dataclass(slots=True)
class Result:
    """What a schedule came to; `problems` is empty where all is well."""

    problems: list[str] = field(default_factory=list)
    edits: int = 0
    late: int = 0
    lost: int = 0
    deliveries: int = 0


class Simulation(People):
    """One schedule. The seed decides everything."""

    def __init__(self, grade: str, seed: int, **what: bool) -> None:
        super().__init__(grade, seed, **what)
        self.node = Node(self.definition, self.remotes, self.now)
        self.resolved: list[tuple[str, Any]] = []

    def run(self) -> Result:
        for _ in range(STEPS):
            self._step()
        result = Result()
        try:
            self._come_to_rest(result)
        except LookupError as endless:
            result.problems.append(str(endless))
            return result
        return result

    # --- what happens -------------------------------------------------------------

    def _step(self) -> None:
        chance = self.random
        self.seconds += chance.choice((0, 1, 1, 7))
        name = chance.choice(MEMBERS)
        remote = self.remotes[name]
        draw = chance.random()
        if draw < 0.25:
            self.user(remote)
        elif draw < 0.45:
            self._hook(remote)
        elif draw < 0.65:
            self.node.judge_next()
        elif draw < 0.93 or (draw < 0.97 and not self.manual):
            self._deliver(name)
        elif draw < 0.97:
            self._resolve()
        elif remote.record is not None:
            self.node.capture(remote.shown(), "poll")

    def _hook(self, remote: Remote) -> None:
        if not remote.hooks:
            return
        index = self.random.randrange(len(remote.hooks))
        fate = self.random.random()
        hook = remote.hooks[index]
        opens = not self.node.intake
        if fate < 0.9:
            del remote.hooks[index]
        if fate > 0.08 or opens:  # else it is lost
            self.node.capture(hook)
        if opens:
            self.remotes["a"].hooks[:] = [
                h for h in self.remotes["a"].hooks if h is not hook
            ]

    def _deliver(self, name: str) -> None:
        lane = self.node.lanes[name]
        if lane.write is None:
            self.node.claim(name)
        elif lane.answer is None:
            self.node.arrive(name, self._fate(lost=0.12, refused=0.06))
        else:
            self.node.answered(name, self._fate(lost=0.12, crash=0.06))

    def _resolve(self) -> bool:
        """Somebody decides one open conflict; False: there is none."""
        held = self.node.correlation.held
        if not held:
            return False
        member, name = self.random.choice(list(held))
        keep = self.random.choice(("mine", "theirs", "other"))
        other = ["w"] if name == "tags" else self.random.choice("pqr")
        self.resolved.append((name, other))
        self.node.resolve(member, name, keep, other)
        return True

    def _fate(self, **chances: float) -> str:
        draw = self.random.random()
        for fate, share in chances.items():
            if draw < share:
                return fate
            draw -= share
        return "done"

    # --- coming to rest -----------------------------------------------------------

    def _come_to_rest(self, result: Result) -> None:
        """Let all under way arrive; count what is written beyond what waits then."""
        self._settle_all()
        backlog = self._backlog()
        self._until_quiet(backlog)
        while self._resolve():
            self._settle_all()
            backlog = self._backlog()
            self._until_quiet(backlog)
        for remote in self.remotes.values():
            if remote.record is not None:
                self.node.capture(remote.shown(), "poll")
        self._until_quiet(backlog)
        result.deliveries = max(
            lane.deliveries - backlog[name] for name, lane in self.node.lanes.items()
        )

    def _backlog(self) -> dict[str, int]:
        return {
            name: lane.deliveries + len([r for r in lane.rows if r.status == "ready"])
            for name, lane in self.node.lanes.items()
        }

    def _settle_all(self) -> None:
        """Deliver every hook, get every answer, judge every change."""
        for _ in range(ROUNDS_MAX):
            for name, lane in self.node.lanes.items():
                while lane.is_unsettled:
                    if lane.write is None:
                        self.node.claim(name)
                    self._finish(name)
            hooks = [hook for r in self.remotes.values() for hook in r.hooks]
            self.random.shuffle(hooks)
            for hook in hooks:
                self.remotes[hook["member"]].hooks.remove(hook)
                self.node.capture(hook)
            self._judge_all()
            if not self.node.inbound:
                return
        raise LookupError("changes and messages chase each other")

    def _finish(self, name: str) -> None:
        lane = self.node.lanes[name]
        if lane.write is not None:
            if lane.answer is None:
                self.node.arrive(name, "done")
            self.node.answered(name, "done")

    def _judge_all(self) -> None:
        while self.node.judge_next():
            self.seconds += 1

    def _until_quiet(self, backlog: dict[str, int]) -> None:
        for _ in range(ROUNDS_MAX):
            active = False
            for remote in self.remotes.values():
                while remote.hooks:
                    self.node.capture(remote.hooks.pop(0))
            self._judge_all()
            for name, lane in self.node.lanes.items():
                if self.node.claim(name):
                    active = True
                    self._finish(name)
                if lane.deliveries - backlog[name] > DELIVERIES_MAX:
                    raise LookupError(f"{name} is written to without end")
            if not active and not any(r.hooks for r in self.remotes.values()):
                return
        raise LookupError("there is always more to send")
