"""What a step of a flow has to know from outside, and what came of asking.

Answers are recorded, so that a flow is a function of what is in the log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rps.domain.aggregate import identity_text

if TYPE_CHECKING:
    from collections.abc import Mapping

Answer = dict[str, Any]
"""`{"value": …}` of a look-up, `{"missing": true}`, `{"values": {…}}` of a call, or
`{"error": text}` where there will be no answer. `seconds`: how long it took."""
Answers = dict[str, Answer]
"""By the key of their question."""


@dataclass(frozen=True, slots=True)
class Question:
    """`asked`: `{table, by, value, take}`, with `with` for a record to be made where
    there is none; `{action, with, seconds, megabytes}` of a call. `member`: whose
    system is asked, "" for a call."""

    step: str
    kind: str
    member: str
    asked: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The same question has the same key."""
        return json.dumps(
            [self.step, self.kind, self.member, self.asked], sort_keys=True
        )

    def id_for(self, correlation_id: str, subject: str) -> str:
        """The id under which it is asked for a change or message."""
        return identity_text("question", correlation_id, subject, self.key)

    def inquiry(self, domain: str, system: str, question_id: str) -> str:
        """What is the same for all who want to know of one record; an action is called
        for each of them."""
        if self.kind == "call":
            return question_id
        about = [str(self.asked[key]) for key in ("table", "by", "value")]
        return identity_text("inquiry", domain, system, *about)

    def to_document(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "kind": self.kind,
            "member": self.member,
            "asked": dict(self.asked),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Question:
        return cls(
            document["step"], document["kind"], document["member"], document["asked"]
        )


def subject_of(sequence: int, message_id: str = "") -> str:
    """What is asked for: a message, or the change in this place of its correlation."""
    return message_id or f"change:{sequence}"
