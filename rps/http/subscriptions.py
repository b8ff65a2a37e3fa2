"""Subscriptions: who is told of what, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Response
from marshmallow import ValidationError, fields, validate, validates_schema

from rps.application.secret_store import SecretStore
from rps.application.subscriptions import Subscriptions
from rps.config import MAIL_ADDRESS
from rps.connectors.announcing import ChannelUnusable
from rps.domain.document import REMOTE_NAME
from rps.domain.subscription import ABOUT, APPRISE, EMAIL, KINDS, WEBHOOK
from rps.http.access import principal
from rps.http.answers import answer, of
from rps.http.inputs import (
    Nothing,
    Reason,
    Shape,
    Text,
    body,
    optional_body,
    precondition,
)
from rps.http.routes import CONFIGURERS, OPERATORS, READERS, allowed, route
from rps.http.system_settings import URL_MAX, http_url, signing_secret
from rps.projections.notice_questions import NOTHING, NoticeQuestions

if TYPE_CHECKING:
    from rps.domain.subscription import Subscription
    from rps.http.parts import Parts

ADDRESSES_MAX = 20


def _mail_address(text: str) -> None:
    if MAIL_ADDRESS.fullmatch(text) is None:
        raise ValidationError("give an address like ops@acme.example")


class SubscriptionSettings(Shape):
    """`url` of a webhook, `addresses` of e-mail; apprise has its URL as secret."""

    url = fields.String(validate=[validate.Length(1, URL_MAX), http_url])
    addresses = fields.List(
        fields.String(validate=[validate.Length(3, 254), _mail_address]),
        validate=validate.Length(1, ADDRESSES_MAX),
    )


class Subscribing(Shape):
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    settings = fields.Nested(SubscriptionSettings, load_default=dict)
    about = fields.List(
        fields.String(validate=validate.OneOf(ABOUT)),
        required=True,
        validate=validate.Length(1, len(ABOUT)),
    )
    process_event = Text(80, least=0, load_default="")
    system = Text(120, least=0, load_default="")
    secret = Text(URL_MAX)

    @validates_schema
    def _settings_of_the_kind(self, data: dict[str, Any], **_: Any) -> None:
        kind, settings = data.get("kind"), data.get("settings", {})
        wanted = {WEBHOOK: {"url"}, EMAIL: {"addresses"}}.get(str(kind), set())
        for name in wanted - settings.keys():
            raise ValidationError({"settings": {name: ["this field is missing"]}})
        for name in settings.keys() - wanted:
            says = f"{kind} has no such setting"
            raise ValidationError({"settings": {name: [says]}})

    @validates_schema
    def _secret_of_the_kind(self, data: dict[str, Any], **_: Any) -> None:
        secret = data.get("secret")
        if secret is None:
            return
        if data.get("kind") == EMAIL:
            raise ValidationError({"secret": ["email has no secret"]})
        if data.get("kind") == WEBHOOK:
            try:
                signing_secret(secret)
            except ValidationError as error:
                raise ValidationError({"secret": error.messages}) from None


class SubscriptionRoutes:
    def __init__(self, parts: Parts) -> None:
        application = parts.application
        secrets = SecretStore(application, parts.random_bytes)
        self._subscriptions = Subscriptions(application, secrets)
        self._questions = NoticeQuestions(application.datastore)
        self._channels = parts.channels
        self._clock = parts.clock
        self._random_bytes = parts.random_bytes

    @route(
        "GET",
        "/subscriptions",
        "Who is told of what in the domain, and what of that waits or failed",
        answer="Subscriptions",
    )
    @allowed(*READERS)
    def list_subscriptions(self) -> Response:
        standing = self._questions.standing()
        found = self._subscriptions.of(principal().domain)
        shown = [_shown(each, standing) for each in found]
        return answer({"subscriptions": shown})

    @route("GET", "/subscriptions/<name>", "One subscription", answer="Subscription")
    @allowed(*READERS)
    def get_subscription(self, name: str) -> Response:
        return self._answer(self._subscriptions.get(principal().domain, name))

    @route(
        "PUT",
        "/subscriptions/<name>",
        "Make or change one; a generated signing secret is shown in this answer only",
        or_status=201,
        body=Subscribing(),
        answer="Subscription",
        headers=("If-Match", "If-None-Match"),
    )
    @allowed(*CONFIGURERS)
    def put_subscription(self, name: str) -> Response:
        if not REMOTE_NAME.fits(name):
            raise ValidationError([f"the subscription's name is {REMOTE_NAME.says}"])
        posted, who, now = body(Subscribing()), principal(), self._clock()
        kind, secret = posted.pop("kind"), posted.pop("secret", None)
        if refusal := self._channels.refusal(kind, secret):
            if kind == APPRISE:
                raise ValidationError({"secret": [refusal]})
            raise ChannelUnusable(refusal)
        is_new = self._subscriptions.find(who.domain, name) is None
        made, generated = self._subscriptions.put(
            *(who.domain, name, kind, posted, secret, who.account, now),
            check=precondition,
        )
        return self._answer(made, 201 if is_new else 200, generated)

    @route(
        "DELETE",
        "/subscriptions/<name>",
        "Tell them no more; what waits for them is dropped, the secret forgotten",
        status=204,
        answer="",
    )
    @allowed(*CONFIGURERS)
    def delete_subscription(self, name: str) -> Response:
        who = principal()
        precondition(self._subscriptions.find(who.domain, name))
        self._subscriptions.remove(who.domain, name, "", who.account, self._clock())
        return Response(status=204)

    @route(
        "POST",
        "/subscriptions/<name>/pause",
        "Tell them nothing for now; what happens meanwhile is not told later",
        body=Reason(),
        answer="Subscription",
    )
    @allowed(*OPERATORS)
    def pause_subscription(self, name: str) -> Response:
        reason, who = body(Reason())["reason"], principal()
        return self._answer(
            self._subscriptions.pause(
                who.domain, name, reason, who.account, self._clock()
            )
        )

    @route(
        "POST",
        "/subscriptions/<name>/resume",
        "Tell them what happens from now on",
        answer="Subscription",
    )
    @allowed(*OPERATORS)
    def resume_subscription(self, name: str) -> Response:
        optional_body(Nothing())
        who = principal()
        return self._answer(
            self._subscriptions.resume(who.domain, name, who.account, self._clock())
        )

    @route(
        "POST",
        "/subscriptions/<name>/test",
        "Send a test notice at once, and say what became of it",
        answer="Tested",
    )
    @allowed(*OPERATORS)
    def try_subscription(self, name: str) -> Response:
        optional_body(Nothing())
        found = self._subscriptions.get(principal().domain, name)
        key = UUID(bytes=self._random_bytes(16), version=4)
        said = self._channels.try_out(found, key, self._clock())
        outcome = type(said).__name__.lower()
        return answer({"outcome": outcome, "detail": said.detail})

    def _answer(
        self, subscription: Subscription, status: int = 200, secret: str | None = None
    ) -> Response:
        shown = _shown(subscription, self._questions.standing())
        if secret is not None:
            shown["secret"] = secret
        return of(subscription, shown, status)


def _shown(
    subscription: Subscription, standing: dict[UUID, dict[str, Any]]
) -> dict[str, Any]:
    return {
        "subscription_id": subscription.id,
        "name": subscription.name,
        "domain": subscription.domain,
        "kind": subscription.kind,
        "settings": subscription.settings,
        "about": subscription.about,
        "process_event": subscription.process_event,
        "system": subscription.system,
        "state": subscription.state,
        "since": subscription.since,
        "deliveries": standing.get(subscription.id, dict(NOTHING)),
        "version": subscription.version,
        "changed_at": subscription.modified_on,
    }
