"""What an instance is started with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rps.config import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from rps.sandbox.servicenow.behaviour import RateRule

SECRET_CHARACTERS_MIN = 4


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """`password` is that of every user the instance comes with.

    `control_token` opens `/_sandbox`. Without `certificate` one is made beside the
    database; `plain` serves http. `rows` incidents are made in a new database.
    Raises ConfigurationError naming everything that is wrong.
    """

    name: str
    database: Path
    password: str
    control_token: str
    client_id: str
    client_secret: str
    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    key: Path | None = None
    plain: bool = False
    rows: int = 0
    rates: tuple[RateRule, ...] = ()

    def __post_init__(self) -> None:
        wrong = [
            f"{name}: give at least {SECRET_CHARACTERS_MIN} characters"
            for name in ("password", "control_token", "client_id", "client_secret")
            if len(getattr(self, name)) < SECRET_CHARACTERS_MIN
        ]
        if (self.certificate is None) != (self.key is None):
            wrong.append("certificate and key: give both or none")
        if self.plain and self.certificate:
            wrong.append("http: it needs no certificate")
        if wrong:
            raise ConfigurationError("; ".join(wrong))
