"""Subscriptions and notices over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from standardwebhooks import Webhook
from test_api_correlations import pages

# A receiver of any kind is told there; test folders are no packages to import from.
sys.path.insert(0, str(Path(__file__).parents[1] / "connectors"))

from loopback_server import LoopbackServer, answer
from smtp_server import SmtpServer

from rps.domain.remote_system import RemoteSystem
from rps.workers.notifier import Notifier
from rps.workers.worker import Projector

if TYPE_CHECKING:
    from api_node import Node

PATH = "/v1/subscriptions/ops"
HOOK: dict[str, Any] = {
    "kind": "webhook",
    "settings": {"url": "https://hooks.example/rps"},
    "about": ["message.parked", "conflict.opened"],
}
MAIL: dict[str, Any] = {
    "kind": "email",
    "settings": {"addresses": ["ops@acme.example"]},
    "about": ["system.tripped"],
}
CHAT: dict[str, Any] = {
    "kind": "apprise",
    "about": ["system.tripped"],
    "secret": "json://user:hunter2@127.0.0.1:9/in",
}
SECRET = "whsec_" + "A" * 43 + "="


def put(node: Node, body: dict[str, Any], path: str = PATH, **more: Any) -> Any:
    return node.call("PUT", path, body, who="ih_process_sync", **more)


def stored_secrets(node: Node) -> dict[str, str]:
    kept = node.kept_secrets()
    return {name: value for (_, name), value in kept.items() if "notify" in name}


def follow(node: Node) -> None:
    projector = Projector(node.application)
    while projector.work():
        pass


def trip(node: Node, name: str) -> None:
    node.application.change(
        RemoteSystem,
        RemoteSystem.id_of("top", name),
        lambda s: s.trip("refused", node.now),
    )


def test_a_signing_secret_is_made_and_shown_once(node: Node) -> None:
    made = put(node, HOOK)
    assert made.status == 201
    secret = made.json["secret"]
    assert stored_secrets(node) == {"ops\tnotify": secret}
    again = put(node, {**HOOK, "system": "zenith"})
    assert (again.status, again.json["system"]) == (200, "zenith")
    assert "secret" not in again.json
    assert "secret" not in node.get(PATH)
    assert node.get(PATH)["about"] == ["conflict.opened", "message.parked"]
    log = b"".join(row.state for row in node.application.recorder.read(0, 1000))
    assert b"whsec_" not in log + node.call("GET", "/v1/subscriptions").bytes


def test_a_secret_that_is_given_is_kept_and_never_shown(node: Node) -> None:
    for body, name in (({**HOOK, "secret": SECRET}, "hook"), (CHAT, "chat")):
        made = put(node, body, f"/v1/subscriptions/{name}")
        assert made.status == 201
        assert "secret" not in made.json
        assert body["secret"].encode() not in made.bytes
    assert stored_secrets(node) == {
        "hook\tnotify": SECRET,
        "chat\tnotify": CHAT["secret"],
    }
    log = b"".join(row.state for row in node.application.recorder.read(0, 1000))
    everything = log + node.call("GET", "/v1/subscriptions").bytes
    assert b"hunter2" not in everything
    assert b"whsec_" not in everything


def test_a_subscription_lives_is_paused_and_goes(node: Node) -> None:
    tag = put(node, MAIL).headers["ETag"]
    reason = {"reason": "holiday"}
    paused = node.call("POST", f"{PATH}/pause", reason, who="operator")
    assert paused.json["state"] == "paused"
    resumed = node.call("POST", f"{PATH}/resume", who="operator")
    assert resumed.json["state"] == "active"
    assert put(node, {**MAIL, "about": ["oscillation"]}, If_Match=tag).status == 412
    listed = node.get("/v1/subscriptions")["subscriptions"]
    assert [(s["name"], s["deliveries"]["waiting"]) for s in listed] == [("ops", 0)]
    assert node.call("DELETE", PATH).status == 204
    assert node.call("GET", PATH).status == 404
    assert node.call("DELETE", PATH).status == 404
    assert node.get("/v1/subscriptions") == {"subscriptions": []}
    assert put(node, HOOK).status == 201  # the name is free again
    assert put(node, MAIL).status == 409  # and of another kind now


def test_another_domain_sees_and_hears_nothing_of_it(sharing: Node) -> None:
    put(sharing, MAIL)
    trip(sharing, "globex")
    follow(sharing)
    assert sharing.get("/v1/notices")["notices"]
    for path in ("/v1/notices", "/v1/subscriptions"):
        [found] = sharing.get(path, who="stranger").values()
        assert found == []
    for method, path in (
        *(("GET", PATH), ("DELETE", PATH), ("POST", f"{PATH}/test")),
        ("POST", f"{PATH}/resume"),
    ):
        assert sharing.call(method, path, who="stranger").status == 404


def test_a_test_is_sent_at_once_and_its_outcome_told(node: Node) -> None:
    with LoopbackServer(answer(204), answer(500)) as server:
        secret = put(node, {**HOOK, "settings": {"url": server.url}}).json["secret"]
        outcomes = [
            node.call("POST", f"{PATH}/test", who="operator").json for _ in range(2)
        ]
        got = server.received[0]
    assert outcomes == [
        {"outcome": "told", "detail": "answered 204"},
        {"outcome": "again", "detail": "answered 500"},
    ]
    Webhook(secret).verify(got.body.decode(), got.headers)
    assert orjson.loads(got.body)["type"] == "rps.test"


def test_what_happened_is_mailed_and_listed_with_who_was_told(sharing: Node) -> None:
    with SmtpServer() as server:
        url = f"smtp://127.0.0.1:{server.port}?starttls=none"
        channels = sharing.channels(RPS_SMTP_URL=url)
        put(sharing, MAIL)
        trip(sharing, "globex")
        follow(sharing)
        notifier = Notifier(
            *(sharing.application, channels.channel, lambda: sharing.now),
            lambda: 0.5,
        )
        notifier.work()
        sharing.later(seconds=11)
        notifier.work()
        notifier.close()
        assert server.mail["Subject"] == "[rps] globex does not take messages (top)"
    [found] = sharing.get("/v1/notices?topic=system.tripped", who="auditor")["notices"]
    assert (found["system"], found["count"], found["state"]) == ("globex", 1, "open")
    assert [each["state"] for each in found["deliveries"]] == ["sent"]


def test_notices_come_in_pages(sharing: Node) -> None:
    for name in ("acme", "globex"):
        trip(sharing, name)
    sharing.call("POST", "/v1/definitions/incident.shared/retire", {"reason": "x"})
    follow(sharing)
    one_by_one = pages(sharing, "/v1/notices?limit=1", "notices")
    [every] = pages(sharing, "/v1/notices", "notices")
    assert [notice for page in one_by_one for notice in page] == every
    about = [(n["topic"], n["process_event"] or n["system"], n["count"]) for n in every]
    assert about == [
        ("definition.changed", "incident.shared", 2),
        ("system.tripped", "globex", 1),
        ("system.tripped", "acme", 1),
    ]


BODIES: dict[str, Any] = {
    "a list": [HOOK],
    "nothing": {},
    "no kind": {**HOOK, "kind": None},
    "another kind": {**HOOK, "kind": "telex"},
    "no topics": {**HOOK, "about": []},
    "no such topic": {**HOOK, "about": ["message.sent"]},
    "topics a text": {**HOOK, "about": "message.parked"},
    "too many topics": {**HOOK, "about": ["message.parked"] * 99},
    "no url": {**HOOK, "settings": {}},
    "url with a user": {**HOOK, "settings": {"url": "https://u:p@x.example"}},
    "url of files": {**HOOK, "settings": {"url": "file:///etc/passwd"}},
    "url a number": {**HOOK, "settings": {"url": 7}},
    "settings a text": {**HOOK, "settings": "x"},
    "addresses for a webhook": {**MAIL, "kind": "webhook"},
    "url for mail": {**HOOK, "kind": "email"},
    "no addresses": {**MAIL, "settings": {"addresses": []}},
    "no address": {**MAIL, "settings": {"addresses": ["ops"]}},
    "two addresses in one": {
        **MAIL,
        "settings": {"addresses": ["a@b.example,c@d.example"]},
    },
    "a header in an address": {
        **MAIL,
        "settings": {"addresses": ["a@b.example\r\nBcc: c@d.example"]},
    },
    "too many addresses": {**MAIL, "settings": {"addresses": ["a@b.example"] * 21}},
    "secret for mail": {**MAIL, "secret": SECRET},
    "no signing secret": {**HOOK, "secret": "hunter2"},
    "apprise without its url": {**CHAT, "secret": None},
    "apprise of another service": {**CHAT, "secret": "syslog://hunter2"},
    "apprise unreadable": {**CHAT, "secret": "json://?to=hunter2"},
    "apprise by mail": {**CHAT, "secret": "mailto://u:hunter2@127.0.0.1"},
    "apprise with settings": {**CHAT, "settings": {"url": "https://x.example"}},
    "system of two lines": {**HOOK, "system": "a\nb"},
    "process event too long": {**HOOK, "process_event": "x" * 81},
    "unknown field": {**HOOK, "abuot": []},
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_no_subscription_is_refused_at_its_place(
    lasting: Node, name: str
) -> None:
    head = lasting.application.recorder.head()
    answered = put(lasting, BODIES[name], "/v1/subscriptions/odd")
    assert answered.status == 422, answered.bytes
    assert answered.json["place"] or name == "a list"
    assert b"hunter2" not in answered.bytes
    assert lasting.application.recorder.head() == head
    assert stored_secrets(lasting) == {}


@pytest.mark.parametrize("path", ["%0aops", "%20", "x" * 121, "a%00b"])
def test_a_name_that_cannot_be_one_is_refused(lasting: Node, path: str) -> None:
    answered = put(lasting, HOOK, f"/v1/subscriptions/{path}")
    assert answered.status in (404, 422)


@pytest.mark.parametrize(
    "query",
    [
        "topic=x",
        "cursor=x",
        "cursor=WzFd",
        "cursor=WyJhIiwxXQ",
        "limit=0",
        "system=%00",
        "sytem=x",
        "topic=oscillation&topic=oscillation",
    ],
)
def test_what_is_no_question_about_notices_is_refused(
    lasting: Node, query: str
) -> None:
    assert lasting.call("GET", f"/v1/notices?{query}").status == 400


def test_without_a_mail_server_nobody_is_mailed(node: Node) -> None:
    node.channels = lambda **_: type(node).channels(node, RPS_SMTP_URL="")  # type: ignore[method-assign]
    node.app = node.make_app()
    node.client = node.app.test_client()
    answered = put(node, MAIL)
    assert answered.status == 409
    assert "RPS_SMTP_URL" in answered.json["detail"]
