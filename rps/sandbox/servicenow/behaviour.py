"""What can be set of an instance while it runs: properties, ACLs, rules, limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_SECONDS: Final = 3600
FIELD_ROLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "work_notes": ("itil", "sn_customerservice_agent", "snc_read_only"),
        "comments_and_work_notes": ("itil", "sn_customerservice_agent"),
        "incident.business_impact": ("business_reader",),
    }
)


@dataclass(frozen=True, slots=True)
class RateRule:
    """At most `limit` requests in `seconds`, of each user it is about.

    It is about one `user`, all who have a `role`, or, where both are "", everybody.
    """

    id: str
    limit: int
    seconds: int = HOUR_SECONDS
    user: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A write that leaves a record of `table` matching `query` is refused (403)."""

    table: str
    query: str
    message: str


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`field_roles` are keyed `field` or `table.field`: who else than admin may see it.

    `attachment_extensions` empty allows all (glide.attachment.extensions).
    """

    token_seconds: int = 1799
    attachment_bytes_max: int = 1024 * 1024 * 1024
    attachment_extensions: tuple[str, ...] = ()
    attachments_touch_record: bool = False
    invalid_query_returns_no_rows: bool = False
    rates: tuple[RateRule, ...] = ()
    policies: tuple[Policy, ...] = ()
    field_roles: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: dict(FIELD_ROLES)
    )
