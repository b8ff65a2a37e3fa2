"""Definitions over HTTP: drafted, published, retired; nobody's edit is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api_node import DOCUMENT

from rps.domain.document_schema import schema

if TYPE_CHECKING:
    from api_node import Node

PATH = "/v1/definitions/incident.shared"
WHO = "ih_process_sync"


def renamed(field: str) -> dict[str, Any]:
    """The document, with another field of acme behind the title."""
    members = DOCUMENT["members"]
    acme = {**members["acme"], "fields": {**members["acme"]["fields"], "title": field}}
    return {**DOCUMENT, "members": {**members, "acme": acme}}


def test_a_definition_goes_from_draft_to_published_to_retired(node: Node) -> None:
    drafted = node.call("PUT", PATH, DOCUMENT, who=WHO)
    assert (drafted.status, drafted.json["state"]) == (201, "draft")
    assert drafted.json["document"]["process_event"] == "incident.shared"
    published = node.call("POST", f"{PATH}/publish", who=WHO).json
    assert (published["state"], published["revision"]) == ("published", 1)
    assert published["published"] == published["document"]
    retired = node.call("POST", f"{PATH}/retire", {"reason": "over"}, who=WHO).json
    assert retired["state"] == "retired"
    assert node.get("/v1/definitions")["definitions"][0]["state"] == "retired"


def test_saying_it_twice_changes_nothing(node: Node) -> None:
    first = node.call("PUT", PATH, DOCUMENT)
    again = node.call("PUT", PATH, DOCUMENT)
    assert (again.status, again.headers["ETag"]) == (200, first.headers["ETag"])


def test_every_published_revision_stays_readable(node: Node) -> None:
    for field in ("short_description", "title"):
        node.call("PUT", PATH, renamed(field))
        node.call("POST", f"{PATH}/publish")
    first, second = (node.get(f"{PATH}/revisions/{n}") for n in (1, 2))
    maps = [each["document"]["members"]["acme"]["fields"] for each in (first, second)]
    assert [each["title"]["field"] for each in maps] == ["short_description", "title"]
    assert node.call("GET", f"{PATH}/revisions/3").status == 404


def test_an_edit_of_what_has_changed_since_is_refused(node: Node) -> None:
    tag = node.call("PUT", PATH, DOCUMENT).headers["ETag"]
    newer = node.call("PUT", PATH, renamed("title"), If_Match=tag)
    assert newer.status == 200
    assert newer.headers["ETag"] != tag
    stale = node.call("PUT", PATH, renamed("subject"), If_Match=tag)
    assert stale.status == 412
    for verb, body in (("publish", None), ("retire", {"reason": "x"})):
        answered = node.call("POST", f"{PATH}/{verb}", body, If_Match=tag)
        assert answered.status == 412
    assert node.call("GET", PATH).headers["ETag"] == newer.headers["ETag"]


def test_a_precondition_on_what_does_not_exist_fails(node: Node) -> None:
    assert node.call("PUT", PATH, DOCUMENT, If_Match='"1"').status == 412
    assert node.call("PUT", PATH, DOCUMENT, If_None_Match="*").status == 201
    assert node.call("PUT", PATH, DOCUMENT, If_None_Match="*").status == 412


def test_a_document_with_mistakes_is_refused_with_all_of_them(node: Node) -> None:
    wrong = renamed("title")
    wrong["fields"] = {**wrong["fields"], "state": {"type": "chioce"}}
    wrong["members"]["globex"] = {**wrong["members"]["globex"], "tabel": "x"}
    answered = node.call("PUT", PATH, wrong)
    assert answered.status == 422
    problems = answered.json["problems"]
    assert len(problems) >= 2
    assert all(
        set(problem) == {"code", "place", "cause", "remedy"} for problem in problems
    )


def test_a_document_of_another_name_or_domain_is_refused(node: Node) -> None:
    wrong = {**DOCUMENT, "process_event": "other", "domain": "top/acme"}
    answered = node.call("PUT", PATH, wrong)
    assert answered.status == 422
    problems = answered.json["problems"]
    assert [(problem["code"], problem["place"]) for problem in problems] == [
        ("other-name", "/process_event"),
        ("other-domain", "/domain"),
    ]


def test_two_definitions_that_would_loop_are_not_both_published(sharing: Node) -> None:
    other = "/v1/definitions/incident.again"
    assert sharing.call("PUT", other, DOCUMENT).status == 201
    answered = sharing.call("POST", f"{other}/publish")
    assert answered.status == 422
    assert answered.json["problems"]


def test_a_definition_nobody_drafted_is_not_there(node: Node) -> None:
    for method, path in (
        ("GET", PATH),
        ("POST", f"{PATH}/publish"),
        ("GET", f"{PATH}/revisions/1"),
    ):
        assert node.call(method, path).status == 404


def test_editors_get_the_schema_without_a_token(node: Node) -> None:
    answered = node.call("GET", "/v1/definitions/schema", who=None)

    assert answered.status == 200
    assert answered.headers["Content-Type"] == "application/schema+json"
    assert answered.json == schema()


def test_nothing_new_is_named_as_the_schema_is(node: Node) -> None:
    named = {**DOCUMENT, "process_event": "schema"}

    answered = node.call("PUT", "/v1/definitions/schema", named)

    assert answered.status == 422
    assert [each["code"] for each in answered.json["problems"]] == ["reserved-name"]
