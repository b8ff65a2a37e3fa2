"""Two systems that share tickets, and a change that was accepted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rps.application.captured import Poster
from rps.workers.receiver import Receiver
from rps.workers.worker import Projector

if TYPE_CHECKING:
    from rps.application import RemoteProcessSync

URL = "http://127.0.0.1:9/rps"
DOCUMENT = {
    "process_event": "ticket.shared",
    "fields": {"title": {"type": "text"}},
    "members": {
        "acme": {"table": "incident", "fields": {"title": "short_description"}},
        "zenith": {"table": "case", "fields": {"title": "summary"}},
    },
}


def now() -> datetime:
    return datetime.now(UTC)


def link(application: RemoteProcessSync) -> None:
    """Register acme and zenith, active, and publish the definition."""
    for name in ("acme", "zenith"):
        settings = {"url": URL, "secrets": [name]}
        system, _ = application.register_system(
            *("top", name, "push", "", settings), "test", now()
        )
        system.activate("test", now())
        application.save(system)
    application.apply_definition(DOCUMENT, "test", now())


def change(number: int, **fields: Any) -> dict[str, Any]:
    """An update of INC1 at acme."""
    return {
        "system": "acme",
        "table": "incident",
        "record_id": "INC1",
        "operation": "update",
        "change_id": f"change-{number}",
        "revision": str(number),
        "fields": fields or {"short_description": f"text {number}"},
        "changed_by": "anna",
    }


def share(application: RemoteProcessSync, changes: int = 1) -> str:
    """Capture and accept changes; the id of their correlation."""
    link(application)
    receipts = application.intake.capture(
        Poster("top", "acme"), [change(n + 1) for n in range(changes)], now()
    )
    receiver = Receiver(application, now)
    while receiver.work():
        pass
    project(application)
    return str(receipts[0].correlations[0]["correlation_id"])


def project(application: RemoteProcessSync) -> None:
    projector = Projector(application)
    while projector.work():
        pass
