"""What the API is made of, handed over by whoever composes a node."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from argon2 import PasswordHasher

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.application import RemoteProcessSync
    from rps.application.channels import Channels
    from rps.application.operations import Operations
    from rps.application.vouching import Vouching
    from rps.domain.delivery import Connector
    from rps.domain.remote_system import RemoteSystem


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """`connectors` builds the connector of a system, `channels` the way to those who
    subscribed, `vouching` that to providers of identities; `public_url` is where people
    reach the node, "" where nobody said, through as many `proxies`; `pause` waits that
    many seconds between two looks at something that is waited for."""

    application: RemoteProcessSync
    operations: Operations
    connectors: Callable[[RemoteSystem], Connector]
    channels: Channels = field(kw_only=True)
    vouching: Vouching = field(kw_only=True)
    public_url: str = ""
    proxies: int = 0
    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    clock: Callable[[], datetime] = _utc_now
    random_bytes: Callable[[int], bytes] = os.urandom
    pause: Callable[[float], None] = time.sleep
