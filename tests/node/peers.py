"""Requests of a linked node, made by hand: signed as it would sign, or not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from hubs import SHARED

from rps.application.secret_store import SecretStore
from rps.connectors.signature import Signer

if TYPE_CHECKING:
    from hubs import Hub
    from werkzeug.test import TestResponse

    from rps.domain.remote_system import RemoteSystem

CREATED = "11111111-1111-4111-8111-111111111111"


def system(hub: Hub, name: str) -> RemoteSystem:
    found = hub.application.configuration.refresh().system("top", name)
    assert found is not None
    return found


def secrets(hub: Hub, name: str) -> list[str]:
    return SecretStore(hub.application, os.urandom).live("top", [name])


def post(
    sender: Hub,
    receiver: Hub,
    what: str,
    said: Any,
    *,
    secret: str = "",
    seconds_ago: int = 0,
    url: str = "",
) -> TestResponse:
    """What `sender` posts, signed as it signs to `receiver`, or as is said."""
    body = said if isinstance(said, bytes) else orjson.dumps(said)
    address = url or str(system(sender, receiver.name).settings["url"])
    at = int(sender.now().timestamp()) - seconds_ago
    signer = Signer([secret] if secret else secrets(sender, receiver.name))
    return receiver.client().open(
        f"{urlsplit(address).path}/{what}",
        method="POST",
        data=body,
        headers=signer.headers(f"{what}_{os.urandom(4).hex()}", at, body)
        | {"Content-Type": "application/json"},
    )


def message(key: str = "m1", **more: Any) -> dict[str, Any]:
    return {
        "id": key,
        "process_event": SHARED,
        "operation": "create",
        "correlation_id": CREATED,
        "record_id": None,
        "if_match": None,
        "version": 1,
        "fields": {"title": "Printer"},
        "entries": [],
        "origin": ["desk"],
        "hop": 1,
        "changed_by": "",
        "changed_at": "",
        **more,
    }


def receipts(sender: Hub, receiver: Hub, *messages: Any) -> dict[str, dict[str, Any]]:
    """By the messages' ids, those of one batch."""
    batch = {"protocol": 1, "messages": list(messages)}
    answered = post(sender, receiver, "messages", batch)
    assert answered.status_code == 200, answered.data
    return {each["id"]: each for each in answered.json["receipts"]}


def events(hub: Hub, topic: str = "%") -> int:
    sql = "SELECT count(*) FROM rps_events WHERE topic LIKE %s"
    return int(hub.ask(sql, topic)[0][0])


def captured_by(hub: Hub, name: str) -> int:
    sql = "SELECT count(*) FROM inbound_queue WHERE member = %s"
    return int(hub.ask(sql, name)[0][0])
