"""What a system posts to us: whether it is from it, and what it is about."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rps.connectors.rest import records, template
from rps.connectors.shown import text_of_id
from rps.connectors.signature import SecretUnusable, SignatureRefused, verify
from rps.domain.delivery import Shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rps.connectors.rest.description import Description, Hook

_REFUSED = "the request is not signed as the system signs"


@dataclass(frozen=True, slots=True)
class Hooked:
    """What a hook is about. `shown`: the record, where the payload holds all of it.
    `delivery_id` is for the log: most signatures do not cover it."""

    table: str
    record_id: str
    delivery_id: str = ""
    shown: Shown | None = None


def verified(
    hook: Hook,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Iterable[str],
    now: float,
) -> None:
    """Raises SignatureRefused, which says nothing about what was wrong."""
    if hook.kind == "standard-webhooks":
        try:
            verify(headers, body, secrets, now)
        except (SignatureRefused, SecretUnusable):
            raise SignatureRefused(_REFUSED) from None
        return
    given = headers.get(hook.header, "").encode("utf-8", "replace")
    for secret in secrets:
        if hmac.compare_digest(given, _expected(hook, body, secret.encode())):
            return
    raise SignatureRefused(_REFUSED)


def _expected(hook: Hook, body: bytes, secret: bytes) -> bytes:
    if hook.kind == "token":
        return hook.prefix.encode() + secret
    made = hmac.digest(secret, body, getattr(hashlib, hook.algorithm))
    if hook.encoding == "base64":
        return hook.prefix.encode() + base64.b64encode(made)
    return f"{hook.prefix}{made.hex()}".encode()


def hooked(
    description: Description, headers: Mapping[str, str], payload: Any
) -> Hooked | None:
    """None where it is about nothing that is shared."""
    hook = description.hook
    if hook is None or not isinstance(payload, dict):
        return None
    if hook.ignore and template.picked(hook.ignore, payload) is True:
        return None
    name = template.picked(hook.table, payload)
    record_id = text_of_id(template.picked(hook.record_id, payload))
    if record_id is None or name not in description.tables:
        return None
    delivery_id = headers.get(hook.id_header, "") if hook.id_header else ""
    is_plain = 1 <= len(delivery_id) <= 100 and delivery_id.isascii()  # noqa: PLR2004
    delivery_id = delivery_id if is_plain and delivery_id.isprintable() else ""
    about = Hooked(name, record_id, delivery_id)
    if not hook.record:
        return about
    record = replace(description.tables[name].record, at=hook.record)
    seen = records.seen(description, record, payload, {}, record_id)
    if seen is None:
        return about
    return None if seen.is_ignored else replace(about, shown=_shown(seen))


def _shown(seen: records.Seen) -> Shown:
    return Shown(seen.snapshot, seen.changed_by)
