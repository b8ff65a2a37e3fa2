"""What a check of `rps doctor` found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """`remedy` says what to do; empty where all is well."""

    level: Literal["ok", "warning", "error"]
    check: str
    cause: str = ""
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
