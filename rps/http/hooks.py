"""Webhooks of systems that are described: verified, committed, answered."""

from __future__ import annotations

import logging
from dataclasses import replace
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Response, request
from marshmallow import ValidationError

from rps.application.captured import Poster
from rps.application.connections import REST
from rps.application.polled import change_of
from rps.application.secret_store import SecretStore, hook_name
from rps.connectors.rest.hooks import hooked, verified
from rps.connectors.rest.reading import read_description
from rps.connectors.signature import SignatureRefused
from rps.domain.delivery import POLL
from rps.domain.problem import DefinitionRefused
from rps.domain.remote_system import RemoteSystemDisabled
from rps.http import json_body
from rps.http.answers import answer
from rps.http.change_schema import checked
from rps.http.inputs import Shape, Text, query, raw_body
from rps.http.routes import public, route
from rps.log.append import ChangeIdReused
from rps.projections.hint_questions import HintQuestions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rps.connectors.rest.description import Description
    from rps.connectors.rest.hooks import Hooked
    from rps.domain.remote_system import RemoteSystem
    from rps.http.parts import Parts

log = logging.getLogger("rps.hooks")

LIMITS = json_body.Limits(nodes=100_000)
NOBODY = "the request is not signed as the system signs"


class Headers(dict[str, str]):
    """Of the request; names in any case."""

    def __init__(self, given: Iterable[tuple[str, str]]) -> None:
        super().__init__((name.lower(), value) for name, value in given)

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return super().get(name.lower(), default)


class WhichDomain(Shape):
    domain = Text(255, load_default="top")


class Hooks:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._clock = parts.clock
        self._secrets = SecretStore(parts.application, parts.random_bytes)
        self._hints = HintQuestions(parts.application.datastore)

    @route(
        "POST",
        "/hooks/<system>",
        "A system says that a record changed; signed as that system signs",
        status=202,
        body={"type": "object"},
        query=WhichDomain(),
        answer="Hook",
    )
    @public
    def post_hook(self, system: str) -> Response:
        domain = query(WhichDomain())["domain"]
        found = self._application.configuration.refresh().system(domain, system)
        body = raw_body()
        description = self._description(found)
        secrets = self._secrets.live(domain, [hook_name(system)])
        if found is None or description is None or description.hook is None:
            raise SignatureRefused(NOBODY)
        now = self._clock()
        headers = Headers(request.headers)
        verified(description.hook, headers, body, secrets, now.timestamp())
        if found.state == "disabled":
            raise RemoteSystemDisabled(system)
        about = hooked(description, headers, json_body.decode(body, limits=LIMITS))
        if about is None:
            return answer({"status": "ignored"}, HTTPStatus.ACCEPTED)
        status = self._taken(found, about, body)
        log.info(
            "hook.taken system=%s table=%s delivery=%s status=%s",
            *(system, about.table, about.delivery_id, status),
        )
        return answer({"status": status}, HTTPStatus.ACCEPTED)

    def _description(self, system: RemoteSystem | None) -> Description | None:
        if system is None or system.connector != REST:
            return None
        try:
            return read_description(system.settings["described"])
        except DefinitionRefused:  # of another version
            return None

    def _taken(self, system: RemoteSystem, about: Hooked, body: bytes) -> str:
        """`captured`, `duplicate`, `not_captured`, or `noted`: it is read soon. What it
        says is committed. The same body again, under whatever id it is sent, is taken
        once: somebody may have kept it, and what it says may be old by now."""
        table = (system.domain, system.name, about.table)
        uses = self._application.configuration.current.uses(*table)
        if not uses.is_asked:
            return "not_captured"
        if about.shown is None or about.shown.record.deleted:
            self._hints.note(*table, about.record_id)
            return "noted"
        shown = replace(about.shown, entries=(), attachments=())
        change: dict[str, Any] | None
        change = change_of(system.name, about.table, shown, uses, dict)
        if change is None:
            return "not_captured"
        change["change_id"] = f"hook:{sha256(body).hexdigest()}"
        try:
            taken = self._application.intake.capture(
                Poster(system.domain, "", source=POLL),
                [checked({k: v for k, v in change.items() if v})],
                self._clock(),
            )
        except (ChangeIdReused, ValidationError):
            # Another payload under a known id, or one that is no change: read it.
            self._hints.note(*table, about.record_id)
            return "noted"
        return taken[0].status
