"""Correlations over HTTP: found, shown, told event by event, as of any moment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import orjson
import pytest

from rps.log.chain import GENESIS, hash_of
from rps.projections.followed import Follower
from rps.projections.views import followed_views

if TYPE_CHECKING:
    from api_node import Answered, Node


def follow(node: Node) -> None:
    """Bring the views up to the log, as the projector does."""
    follower = Follower(
        followed_views(), node.application.recorder, node.application.event_mapper
    )
    while follower.advance():
        pass


def pages(node: Node, path: str, rows: str, **more: Any) -> list[list[Any]]:
    """Every page of a list, by its own links."""
    found = []
    while path:
        answered: Answered = node.call("GET", path, **more)
        assert answered.status == 200, answered.bytes
        found.append(answered.json[rows])
        link = re.fullmatch(
            r'<http://localhost([^>]+)>; rel="next"', answered.headers.get("Link", "")
        )
        path = link[1] if link else ""
    return found


def edited(node: Node) -> tuple[UUID, list[int]]:
    """A correlation with three titles, and the log's end after each."""
    ends = []
    for revision, title in enumerate(("one", "two", "three"), start=1):
        correlation_id = node.shared(
            operation="create" if revision == 1 else "update",
            revision=revision,
            fields={"short_description": title},
        )
        ends.append(node.application.recorder.head()[0])
        node.later(minutes=1)
    return correlation_id, ends


def test_a_correlation_shows_links_values_and_open_lanes(sharing: Node) -> None:
    correlation_id = sharing.shared(revision=1)
    answered = sharing.call("GET", f"/v1/correlations/{correlation_id}")
    seen = answered.json
    assert seen["state"] == "active"
    assert seen["fields"]["title"] == {
        "value": "Printer",
        "version": 1,
        "origin": "acme",
    }
    assert seen["links"]["acme"]["record_id"] == "INC1"
    assert seen["links"]["acme"]["base"]["state"] == "new"
    (lane,) = seen["lanes"]
    assert (lane["direction"], lane["member"], lane["head_status"]) == (
        "out",
        "globex",
        "ready",
    )
    assert answered.headers["ETag"] == f'"{seen["version"]}"'
    sharing.acknowledge(correlation_id, "T7")
    seen = sharing.get(f"/v1/correlations/{correlation_id}")
    assert seen["links"]["globex"]["base"] == {"title": "Printer"}
    assert seen["lanes"] == []


def test_a_correlation_is_found_by_its_record(sharing: Node) -> None:
    correlation_id = sharing.shared("INC1")
    sharing.shared("INC2")
    for query in ("", "&system=acme", "&process_event=incident.shared"):
        found = sharing.get(f"/v1/correlations?record_id=INC1{query}")["correlations"]
        assert [each["correlation_id"] for each in found] == [str(correlation_id)]
    for query in ("record_id=INC9", "record_id=INC1&system=globex"):
        assert sharing.get(f"/v1/correlations?{query}")["correlations"] == []


def test_correlations_are_found_by_words_last_changed_first(sharing: Node) -> None:
    for number in range(5):
        sharing.shared(
            f"INC{number}", fields={"short_description": f"printer number{number}"}
        )
    follow(sharing)
    found = pages(sharing, "/v1/correlations?q=printer&limit=2", "correlations")
    assert [len(page) for page in found] == [2, 2, 1]
    titles = [each["fields"]["title"][-1] for page in found for each in page]
    assert titles == list("43210")
    only = sharing.get("/v1/correlations?q=number3&system=acme")["correlations"]
    assert len(only) == 1
    assert sharing.get("/v1/correlations?system=globex")["correlations"] == []


def test_the_timeline_tells_every_event_in_a_line(sharing: Node) -> None:
    correlation_id, _ = edited(sharing)
    sharing.park(correlation_id)
    path = f"/v1/correlations/{correlation_id}/timeline"
    found = pages(sharing, f"{path}?limit=3", "events")
    events = [event for page in found for event in page]
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    topics = [event["topic"] for event in events]
    assert topics[0] == "change.captured"
    assert topics[-1] == "message.parked"
    assert events[0]["fields"]["record_id"] == "INC1"
    summaries = {event["topic"]: event["summary"] for event in events}
    assert summaries["change.captured"].startswith("acme update of incident INC1")
    assert summaries["message.parked"].endswith("at globex: 422 no such assignee")
    assert all(event["summary"] != event["topic"] for event in events)


def test_the_state_is_as_it_was_after_any_event(sharing: Node) -> None:
    correlation_id, ends = edited(sharing)
    path = f"/v1/correlations/{correlation_id}"
    titles = [
        sharing.get(f"{path}/state?position={end}")["fields"]["title"]["value"]
        for end in ends
    ]
    assert titles == ["one", "two", "three"]
    state = sharing.get(f"{path}/state?position={ends[1] + 1}")
    assert state["fields"]["title"] == {"value": "two", "version": 2, "origin": "acme"}
    assert state["links"]["acme"]["revision"] == "2"
    now = sharing.get(f"{path}/state")
    assert now["fields"]["title"]["value"] == "three"


def test_the_state_is_as_it_was_at_any_moment(sharing: Node) -> None:
    began = sharing.now
    correlation_id, _ = edited(sharing)
    path = f"/v1/correlations/{correlation_id}/state"
    seen = []
    for minute in range(3):
        at = began.replace(minute=minute, second=30).isoformat()
        state = sharing.get(f"{path}?at={at.replace('+', '%2B')}")
        seen.append(state["fields"]["title"]["value"])
    assert seen == ["one", "two", "three"]
    before = "2020-01-01T00:00:00Z"
    assert sharing.call("GET", f"{path}?at={before}").status == 404


@pytest.mark.parametrize(
    "query", ["position=1&at=2026-01-01T00:00:00Z", "position=-1", "at=yesterday"]
)
def test_a_moment_that_is_none_is_refused(lasting: Node, query: str) -> None:
    answered = lasting.call("GET", f"/v1/correlations/{uuid4()}/state?{query}")
    assert answered.status == 400


def test_the_stream_of_something_else_is_no_correlation(sharing: Node) -> None:
    account = sharing.application.configuration.current.tokens
    stream = next(iter(account.values())).account.id
    for suffix in ("", "/timeline", "/state"):
        path = f"/v1/correlations/{stream}{suffix}"
        assert sharing.call("GET", path).status == 404
    assert sharing.call("GET", f"/v1/replays/{sharing.shared()}").status == 404


# --- audit --------------------------------------------------------------------------


def test_the_whole_log_is_exported_so_that_its_hashes_can_be_computed_again(
    sharing: Node,
) -> None:
    sharing.shared()
    exported = sharing.call("GET", "/v1/audit?whole=true", who="auditor")
    *lines, last = exported.bytes.splitlines()
    digest = GENESIS
    for number, raw in enumerate(lines, start=1):
        line = orjson.loads(raw)
        state = raw[raw.index(b'"event":') + len(b'"event":') : -1]
        digest = hash_of(
            digest,
            number,
            UUID(line["stream"]),
            line["version"],
            line["topic"],
            state,
        )
        assert (line["position"], line["hash"]) == (number, digest.hex())
    head = {"position": len(lines), "hash": digest.hex()}
    assert orjson.loads(last) == {"head": head}


def test_an_export_has_only_the_domains_own_events(sharing: Node) -> None:
    sharing.tokens["theirs"] = sharing.token("top/else", "theirs", ["auditor"])
    own = sharing.call("GET", "/v1/audit", who="auditor").lines
    theirs = sharing.call("GET", "/v1/audit", who="theirs").lines
    assert {line["event"]["domain"] for line in own[:-1]} == {"top"}
    assert {line["event"]["domain"] for line in theirs[:-1]} == {"top/else"}
    assert own[-1] == theirs[-1]
    assert sharing.call("GET", "/v1/audit?whole=true", who="theirs").status == 403


def test_an_export_can_be_a_range_or_one_correlation(sharing: Node) -> None:
    correlation_id, ends = edited(sharing)
    path = f"/v1/audit?after={ends[0]}&until={ends[1]}"
    positions = [line["position"] for line in sharing.call("GET", path).lines[:-1]]
    assert positions == list(range(ends[0] + 1, ends[1] + 1))
    path = f"/v1/audit?correlation_id={correlation_id}"
    lines = sharing.call("GET", path).lines[:-1]
    assert {line["stream"] for line in lines} == {str(correlation_id)}
    theirs = sharing.call("GET", path, who="stranger").lines
    assert list(theirs[0]) == ["head"]
