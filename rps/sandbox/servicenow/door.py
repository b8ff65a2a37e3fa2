"""The way into the API: who asks, and whether they ask too often."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Response, g, request

from rps.sandbox.servicenow.answers import NotAuthenticated, RateExceeded
from rps.sandbox.servicenow.faults import INNER
from rps.sandbox.user_side import refuse_other_sites

if TYPE_CHECKING:
    from flask import Blueprint

    from rps.sandbox.servicenow.access import Actor
    from rps.sandbox.servicenow.instance import Instance
    from rps.sandbox.servicenow.rates import Counted


def who_asks(instance: Instance) -> Actor:
    """The user of Basic or Bearer authorization; raises NotAuthenticated."""
    given = request.authorization
    if given is None:
        raise NotAuthenticated
    if given.type == "basic" and given.username and given.password:
        return instance.people.by_password(given.username, given.password)
    if given.type == "bearer" and given.token:
        return instance.people.by_token(given.token)
    raise NotAuthenticated


def guard(blueprint: Blueprint, instance: Instance) -> None:
    """Let users in, as often as the rate limits allow; `g.actor` is who it is."""

    @blueprint.before_request
    def enter() -> None:
        refuse_other_sites()
        g.actor = who_asks(instance)
        g.counted = None
        if INNER in request.environ:
            return  # counted with the batch
        now = instance.clock.now().timestamp()
        counted = instance.rates.count(instance.behaviour.rates, g.actor, now)
        g.counted = counted
        if counted and counted.exceeded:
            raise RateExceeded(_exceeded(counted))

    @blueprint.after_request
    def tell(answer: Response) -> Response:
        counted: Counted | None = g.get("counted")
        if counted is None:
            return answer
        answer.headers["X-RateLimit-Limit"] = str(counted.rule.limit)
        answer.headers["X-RateLimit-Reset"] = str(counted.ends_at)
        answer.headers["X-RateLimit-Rule"] = counted.rule.id
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            now = int(instance.clock.now().timestamp())
            answer.headers["Retry-After"] = str(max(1, counted.ends_at - now))
        return answer


def _exceeded(counted: Counted) -> str:
    rule = counted.rule
    every = "hour" if rule.seconds == 3600 else f"{rule.seconds} seconds"  # noqa: PLR2004 - an hour
    return f"Rate limit of {rule.limit} requests per {every} for Table API exceeded"
