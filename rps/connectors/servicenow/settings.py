"""What an operator says of an instance, and what is kept secret of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import orjson

from rps.connectors.signature import SecretUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

Auth = Literal["basic", "oauth-password", "oauth-client", "oauth-refresh"]
AUTHS: Final = ("basic", "oauth-password", "oauth-client", "oauth-refresh")
POLL_SECONDS = 15
OVERLAP_SECONDS = 5
CORRELATION_FIELD = "correlation_id"
SECRET_NAMES: Final = ("password", "client_secret", "refresh_token")
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "basic": ("password",),
    "oauth-password": ("password", "client_secret"),
    "oauth-client": ("client_secret",),
    "oauth-refresh": ("client_secret", "refresh_token"),
}
"""The secrets of each way to log in."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`display_values`: fields read and written as people see them. `correlation_field`
    is where records keep our external id, "" where there is no such column."""

    url: str
    auth: Auth = "basic"
    username: str = ""
    client_id: str = ""
    display_values: frozenset[str] = frozenset()
    correlation_field: str = CORRELATION_FIELD
    overlap_seconds: int = OVERLAP_SECONDS
    requests_per_hour: int | None = None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        return cls(
            url=told["url"].rstrip("/"),
            auth=told.get("auth", "basic"),
            username=told.get("username", ""),
            client_id=told.get("client_id", ""),
            display_values=frozenset(told.get("display_values") or ()),
            correlation_field=told.get("correlation_field", CORRELATION_FIELD),
            overlap_seconds=told.get("overlap_seconds", OVERLAP_SECONDS),
            requests_per_hour=told.get("requests_per_hour"),
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """Kept as one secret, a JSON object of those that are there."""

    password: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    @classmethod
    def of(cls, secrets: list[str], auth: Auth) -> Self:
        """Raises SecretUnusable where one is missing that `auth` needs."""
        told: Any = None
        if secrets:
            try:
                told = orjson.loads(secrets[0])
            except orjson.JSONDecodeError:
                told = None
        kept = told if isinstance(told, dict) else {}
        missing = [name for name in NEEDED[auth] if not kept.get(name)]
        if missing:
            raise SecretUnusable(
                f"no {' and '.join(missing).replace('_', ' ')} for {auth} is kept"
            )
        return cls(**{name: str(kept.get(name, "")) for name in SECRET_NAMES})
