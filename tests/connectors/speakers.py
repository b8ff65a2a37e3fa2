"""The connectors that ask systems, each ready to be told something wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import described
import pushing
import servicenow_cases

from rps.connectors.push import PushConnector
from rps.connectors.servicenow.connector import ServiceNowConnector
from rps.connectors.servicenow.positions import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.connectors.transport import Transport
    from rps.domain.delivery import Connector, Write

SYS_ID = "0" * 31 + "7"
ACCOUNT = {"username": "rps", "correlation_field": "correlation_id"}


@dataclass(frozen=True, slots=True)
class Speaker:
    """`update` is what it writes; `cursor` where it reads on, None: it is not asked."""

    connect: Callable[[Transport, str], Connector]
    update: Write
    cursor: dict[str, Any] | None


def rest(transport: Transport, url: str) -> Connector:
    return described.connector(transport, url)


def servicenow(transport: Transport, url: str) -> Connector:
    return ServiceNowConnector(
        transport,
        settings={"url": url, **ACCOUNT},
        secrets=[json.dumps({"password": "a password"})],
        uses=lambda _table: servicenow_cases.USES,
        files=servicenow_cases.OurFiles(),
        clock=lambda: described.NOW,
    )


def push(transport: Transport, url: str) -> Connector:
    return PushConnector(
        transport,
        url=url,
        secrets=[pushing.SECRET],
        capabilities=pushing.FULL,
        clock=lambda: described.NOW,
    )


_READING = Reading.new("2026-11-24 10:00:00", described.NOW - 100).to_json()
SPEAKERS = {
    "rest": Speaker(rest, described.write(), {"since": "2026-11-24T10:00:00+00:00"}),
    "servicenow": Speaker(
        servicenow,
        servicenow_cases.write(
            "update",
            record_id=SYS_ID,
            fields={"short_description": "Printer"},
        ),
        dict.fromkeys(("records", "files", "deletions"), _READING),
    ),
    "push": Speaker(push, pushing.UPDATE, None),
}
TABLE = {"rest": "ticket", "servicenow": "incident", "push": "tickets"}
