"""The work, the same for everybody: record changes of about 500 bytes of JSON.

Key k is record `R<k>`; its changes are numbered 1, 2, …. Each change carries a mark
`<key>.<number>.<due>`, which the sink reads back: due is CLOCK_MONOTONIC in
nanoseconds, shared by all processes of a machine, or 0 where nobody asks for latency.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM, TARGET, TABLE = "acme", "zenith", "item"
WARM_UP_KEY = 1_000_000
"""From here on keys are only there to get a worker going; the sink leaves them out."""

SEED_KEY = 2_000_000
"""From here on keys are those of what was there before a measure began."""

DEFINITION = {
    "process_event": "item.shared",
    "fields": {"mark": {"type": "text"}, "note": {"type": "text"}},
    "members": {
        SYSTEM: {"table": TABLE, "fields": {"mark": "mark", "note": "note"}},
        TARGET: {"table": TABLE, "fields": {"mark": "mark", "note": "note"}},
    },
}
_NOTE = "".join(chr(97 + i % 26) for i in range(300))


@dataclass(frozen=True, slots=True)
class Change:
    key: int
    number: int
    due: int = 0

    @property
    def mark(self) -> str:
        return f"{self.key}.{self.number}.{self.due}"

    @property
    def body(self) -> bytes:
        """What is posted to rps, and what the baseline keeps and delivers."""
        return orjson.dumps(
            {
                "system": SYSTEM,
                "table": TABLE,
                "record_id": f"R{self.key}",
                "operation": "create" if self.number == 1 else "update",
                "change_id": self.mark,
                "revision": str(self.number),
                "fields": {"mark": self.mark, "note": f"{self.number} {_NOTE}"},
                "changed_by": "anna",
            }
        )


@dataclass(frozen=True, slots=True)
class Workload:
    """`changes` changes of `keys` records, a record's changes spread over the whole,
    or one after the other (`burst`); numbered from `first_number` on.
    """

    changes: int
    keys: int
    first_key: int = 0
    first_number: int = 1
    burst: bool = False

    @classmethod
    def of(cls, order: dict[str, Any]) -> Workload:
        """As an order to one of our processes describes it."""
        return cls(**{name: order[name] for name in cls.__slots__ if name in order})

    def all(self) -> list[Change]:
        return [self._at(n) for n in range(self.changes)]

    def shares(self, producers: int) -> list[list[Change]]:
        """One list a producer; a key belongs to one of them only."""
        shares: list[list[Change]] = [[] for _ in range(producers)]
        for change in self.all():
            shares[change.key % producers].append(change)
        return shares

    def paced(self, rate: float, start: int) -> list[Change]:
        """All of them, due at `rate` a second from `start` on."""
        step = 1e9 / rate
        return [
            Change(c.key, c.number, start + int(n * step))
            for n, c in enumerate(self.all())
        ]

    def _at(self, n: int) -> Change:
        if self.burst:
            key, number = divmod(n, max(1, -(-self.changes // self.keys)))
        else:
            number, key = divmod(n, self.keys)
        return Change(self.first_key + key, self.first_number + number)


def chunks(changes: Sequence[Change], size: int) -> list[Sequence[Change]]:
    return [changes[at : at + size] for at in range(0, len(changes), size)]
