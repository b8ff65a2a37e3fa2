"""Remote systems: registered, validated and activated, paused, disabled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate

from rps.application.connections import REST
from rps.application.operations import NotFound
from rps.application.secret_store import SECRET_MAX, SecretStore, hook_name
from rps.connectors.batch import MESSAGES_MAX
from rps.connectors.servicenow.connector import SERVICENOW
from rps.connectors.signature import SecretUnusable, Signer
from rps.domain.between_nodes import NODE
from rps.domain.document import REMOTE_NAME
from rps.domain.remote_system import ConnectorFixed, RemoteSystem
from rps.http import described, servicenow_settings
from rps.http.access import principal
from rps.http.answers import answer, of
from rps.http.errors import CheckFailed
from rps.http.inputs import (
    REASON_MAX,
    Flag,
    Reason,
    Shape,
    Text,
    body,
    optional_body,
    precondition,
    query,
)
from rps.http.routes import CONFIGURERS, OPERATORS, READERS, allowed, route
from rps.http.servicenow_settings import ServiceNowSettings
from rps.projections.system_questions import SystemQuestions

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from flask import Response

    from rps.http.parts import Parts

URL_MAX = 2048


def http_url(text: str) -> None:
    """Only the form: which addresses may be reached is the transport's to say."""
    try:
        parts = urlsplit(text)
        well_formed = bool(parts.hostname) and parts.port != 0
    except ValueError:
        well_formed = False
    if not (
        well_formed
        and text.isascii()
        and text.isprintable()
        and " " not in text
        and parts.scheme in ("http", "https")
        and parts.username is None
        and not parts.query
        and not parts.fragment
    ):
        raise ValidationError(
            "give an http or https URL with a host, without user, query and fragment"
        )


def signing_secret(text: str) -> None:
    try:
        Signer([text])
    except SecretUnusable:
        raise ValidationError(
            {"secret": ["a secret is whsec_ and the base64 of 24 to 64 bytes"]}
        ) from None


def _secret_name(text: str) -> None:
    if text.startswith("whsec_"):
        # It would be kept in the log for ever.
        raise ValidationError("name the secret here; give its value as 'secret'")


class Settings(ServiceNowSettings):
    """Of a system of any kind; which ones it takes is its connector's to say."""

    url = fields.String(required=True, validate=[validate.Length(1, URL_MAX), http_url])
    secrets = fields.List(
        fields.String(validate=[validate.Length(1, 120), _secret_name]),
        validate=validate.Length(1, 4),
    )
    dedupe = Flag(metadata={"default": True})
    conditional_write = Flag(metadata={"default": True})
    read_back = Flag(metadata={"default": True})
    batch = fields.Integer(strict=True, validate=validate.Range(1, MESSAGES_MAX))
    preset = fields.String(validate=validate.Length(0, 40))
    described = fields.Dict(keys=fields.String())
    set = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 40)),
        values=fields.String(validate=validate.Length(0, 500)),
        validate=validate.Length(0, 30),
    )


PUSH_ONLY = ("dedupe", "conditional_write", "read_back", "batch")


class System(Shape):
    """`secret` belongs to a push or rest system, `hook_secret` to a rest system,
    `credentials` to a ServiceNow instance."""

    connector = fields.String(
        load_default="push", validate=validate.OneOf(["push", SERVICENOW, REST])
    )
    description = Text(2000, least=0, load_default="")
    settings = fields.Nested(Settings, required=True)
    secret = fields.String(validate=validate.Length(1, SECRET_MAX))
    hook_secret = fields.String(validate=validate.Length(1, SECRET_MAX))
    credentials = fields.Nested(servicenow_settings.Credentials)


_OTHERS = {
    "push": (*servicenow_settings.OWN, *described.OWN),
    SERVICENOW: (*PUSH_ONLY, *described.OWN),
    REST: (
        *PUSH_ONLY,
        *sorted({*servicenow_settings.OWN} - {*servicenow_settings.OF_ALL_ASKED}),
    ),
}
_OTHER_SECRETS = {
    "push": ("credentials", "hook_secret"),
    SERVICENOW: ("secret", "hook_secret"),
    REST: ("credentials",),
}


def _settings(posted: dict[str, Any]) -> dict[str, Any]:
    """Those of the connector, defaults filled in. Raises ValidationError for others,
    and DefinitionRefused."""
    settings: dict[str, Any] = posted["settings"]
    kind = posted["connector"]
    if wrong := {
        name: [f"a {kind} system has no such setting"]
        for name in _OTHERS[kind]
        if name in settings
    }:
        raise ValidationError({"settings": wrong})
    for key in _OTHER_SECRETS[kind]:
        if key in posted:
            raise ValidationError({key: [f"a {kind} system has none"]})
    if kind == SERVICENOW:
        return servicenow_settings.checked(settings)
    if kind == REST:
        return described.described_settings(settings)
    return {"dedupe": True, "conditional_write": True, "read_back": True} | settings


class HowToActivate(Shape):
    check = fields.Boolean(load_default=True)


class OptionalReason(Shape):
    reason = Text(REASON_MAX)


class Systems:
    def __init__(self, parts: Parts) -> None:
        self._application = parts.application
        self._connectors = parts.connectors
        self._clock = parts.clock
        self._questions = SystemQuestions(parts.application.datastore)
        self._secrets = SecretStore(parts.application.datastore, parts.random_bytes)

    @route("GET", "/systems", "All remote systems of the domain", answer="Systems")
    @allowed(*READERS)
    def list_systems(self) -> Response:
        domain = principal().domain
        own = [
            system
            for system in self._application.configuration.current.systems()
            if system.domain == domain
        ]
        own.sort(key=lambda system: system.name)
        standing = self._standing(domain)
        shown = [_shown(system, standing) for system in own]
        return answer({"systems": shown})

    @route("GET", "/systems/<name>", "One remote system", answer="System")
    @allowed(*READERS)
    def get_system(self, name: str) -> Response:
        return self._answer(self._found(name))

    @route(
        "PUT",
        "/systems/<name>",
        "Register or change a system; a generated secret is shown in this answer only",
        body=System(),
        answer="System",
        headers=("If-Match", "If-None-Match"),
    )
    @allowed(*CONFIGURERS)
    def put_system(self, name: str) -> Response:
        if not REMOTE_NAME.fits(name):
            raise ValidationError([f"the system's name is {REMOTE_NAME.says}"])
        posted = body(System())
        who, now = principal(), self._clock()
        key = RemoteSystem.id_of(who.domain, name)
        known = self._application.find(RemoteSystem, key)
        precondition(known)
        if known is not None and known.connector != posted["connector"]:
            raise ConnectorFixed(f"{name} is a {known.connector} system")
        settings = _settings(posted)
        settings.setdefault("secrets", known.settings["secrets"] if known else [name])
        generated = self._keep_secret(who.domain, name, settings, posted)
        if known is None:
            system, _ = self._application.register_system(
                who.domain,
                name,
                posted["connector"],
                posted["description"],
                settings,
                who.account,
                now,
            )
            return self._answer(system, 201, secret=generated)

        def change(system: RemoteSystem) -> None:
            precondition(system)
            system.change(posted["description"], settings, who.account, now)

        changed = self._application.change(RemoteSystem, key, change)
        return self._answer(changed, secret=generated)

    def _keep_secret(
        self, domain: str, system: str, settings: dict[str, Any], posted: dict[str, Any]
    ) -> str | None:
        """What is given, or for a push system a new one, which is answered."""
        name = settings["secrets"][0]
        if hook_secret := posted.get("hook_secret"):
            self._secrets.keep(domain, hook_name(system), hook_secret)
        if posted["connector"] == SERVICENOW:
            live = self._secrets.live(domain, [name])
            given = posted.get("credentials")
            value = servicenow_settings.kept(
                settings["auth"], given, live[0] if live else None
            )
            if value is not None:
                self._secrets.keep(domain, name, value)
            return None
        if given := posted.get("secret"):
            if posted["connector"] != REST:
                signing_secret(given)
            self._secrets.keep(domain, name, given)
            return None
        return None if posted["connector"] == REST else self._secrets.make(domain, name)

    @route(
        "POST",
        "/systems/<name>/activate",
        "Validate and activate: its connector is tried first, unless ?check=false",
        query=HowToActivate(),
        answer="System",
    )
    @allowed(*CONFIGURERS)
    def activate_system(self, name: str) -> Response:
        system = self._found(name)
        if query(HowToActivate())["check"]:
            works, said = self._connectors(system).check()
            if not works:
                raise CheckFailed(said or "it does not answer")
        who, now = principal().account, self._clock()
        return self._answer(self._application.activate_system(system.id, who, now))

    @route(
        "POST",
        "/systems/<name>/disable",
        "Take nothing from it, give nothing to it",
        body=Reason(),
        answer="System",
    )
    @allowed(*OPERATORS)
    def disable_system(self, name: str) -> Response:
        reason = body(Reason())["reason"]
        return self._answer(
            self._tell(
                self._found(name), lambda s, who, now: s.disable(reason, who, now)
            )
        )

    @route(
        "POST",
        "/systems/<name>/pause",
        "Let its messages wait; changes are still taken from it",
        body=Reason(),
        answer="System",
    )
    @allowed(*OPERATORS)
    def pause_system(self, name: str) -> Response:
        reason = body(Reason())["reason"]
        return self._answer(
            self._tell(self._found(name), lambda s, who, now: s.pause(reason, who, now))
        )

    @route(
        "POST",
        "/systems/<name>/resume",
        "Deliver what has been waiting",
        body=OptionalReason(),
        answer="System",
    )
    @allowed(*OPERATORS)
    def resume_system(self, name: str) -> Response:
        reason = optional_body(OptionalReason()).get("reason", "")
        return self._answer(
            self._tell(
                self._found(name), lambda s, who, now: s.resume(reason, who, now)
            )
        )

    def _standing(self, domain: str) -> _Standing:
        ask = self._questions
        return _Standing(ask.breakers(domain), ask.queued(domain), ask.peers(domain))

    def _found(self, name: str) -> RemoteSystem:
        key = RemoteSystem.id_of(principal().domain, name)
        system = self._application.find(RemoteSystem, key)
        if system is None:
            raise NotFound(f"no remote system {name!r}")
        return system

    def _tell(
        self,
        system: RemoteSystem,
        say: Callable[[RemoteSystem, str, datetime], None],
    ) -> RemoteSystem:
        who, now = principal().account, self._clock()
        return self._application.change(
            RemoteSystem, system.id, lambda each: say(each, who, now)
        )

    def _answer(
        self, system: RemoteSystem, status: int = 200, secret: str | None = None
    ) -> Response:
        shown = _shown(system, self._standing(system.domain))
        if secret is not None:
            shown["secret"] = secret
        return of(system, shown, status)


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the systems of a domain are doing, by their names."""

    breakers: dict[str, dict[str, Any]]
    queued: dict[str, dict[str, dict[str, int]]]
    peers: dict[str, dict[str, Any]]


def _shown(system: RemoteSystem, standing: _Standing) -> dict[str, Any]:
    shown = {
        "name": system.name,
        "domain": system.domain,
        "connector": system.connector,
        "description": system.description,
        "settings": system.settings,
        "state": system.state,
        "fault": system.fault,
        "breaker": standing.breakers.get(system.name),
        "queues": standing.queued.get(system.name, {"inbound": {}, "outbound": {}}),
        "version": system.version,
        "changed_at": system.modified_on,
    }
    if system.connector == NODE:
        shown["peer"] = standing.peers.get(system.name)
    return shown
