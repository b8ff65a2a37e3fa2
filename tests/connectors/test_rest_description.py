"""Descriptions are read, or refused with all that is wrong, where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from rps.connectors.rest import presets, template
from rps.connectors.rest.reading import chosen, read_description
from rps.domain.problem import DefinitionRefused

CLASSES = {
    "generic": "B",
    "github": "D",
    "gitlab": "D",
    "jira-cloud": "D",
    "jira-server": "D",
    "redmine": "D",
    "request-tracker": "D",
    "roundup": "B",
    "zammad": "D",
}
LEAST = """
name: least
check: {get: /ping}
tables:
  ticket:
    record: {id: id}
"""


def refused(text: str) -> list[tuple[str, int | None, str]]:
    with pytest.raises(DefinitionRefused) as error:
        presets.read_text(text.encode())
    return [(p.place, getattr(p, "line", None), p.code) for p in error.value.problems]


def test_every_preset_is_read_and_its_class_follows_from_what_it_describes() -> None:
    grades = {
        name: presets.read_text(presets.text(name))[1].capabilities.grade
        for name in presets.names()
    }
    assert grades == CLASSES


def test_every_preset_says_how_it_was_tried() -> None:
    for name in presets.names():
        text = presets.text(name).decode()
        said = "not yet run against a live\n# system" in text
        assert said or name in ("roundup", "generic"), name


def test_the_class_is_b_only_with_a_revision_and_a_condition() -> None:
    read = "    read: {get: '/t/{record_id}'}\n"
    update = (
        "    update: {patch: '/t/{record_id}', if_match: known, body: '{fields}'}\n"
    )
    with_revision = LEAST.replace("{id: id}", "{id: id, revision: version}")
    assert presets.read_text(LEAST.encode())[1].capabilities.grade == "D"
    for text in (LEAST + read + update, with_revision + read):
        assert presets.read_text(text.encode())[1].capabilities.grade == "D"
    able = presets.read_text((with_revision + read + update).encode())[1].capabilities
    assert (able.grade, able.read_back, able.polls) == ("B", True, False)


def test_a_key_for_repeated_requests_makes_it_dedupe() -> None:
    text = LEAST + "dedupe_header: Idempotency-Key\n"
    assert presets.read_text(text.encode())[1].capabilities.grade == "C"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LEAST.replace("get: /ping", "get: ping"), ("/check/get", 3, "bad-text")),
        (
            LEAST.replace("/ping", "//evil.example.com/x"),
            ("/check/get", 3, "bad-text"),
        ),
        (LEAST.replace("{get: /ping}", "{}"), ("/check", 3, "step-kind")),
        (
            LEAST.replace("/ping", "'/{nobody}'"),
            ("/check/get", 3, "step-field"),
        ),
        (
            LEAST.replace("/ping", "'/{setting.nobody}'"),
            ("/check/get", 3, "step-field"),
        ),
        (
            LEAST.replace("{id: id}", "{id: 'id['}"),
            ("/tables/ticket/record/id", 6, "bad-text"),
        ),
        (
            LEAST.replace("{id: id}", "{id: id, feilds: {}}"),
            ("/tables/ticket/record/feilds", 6, "unknown-key"),
        ),
        (LEAST + "auth: {kind: basic}\n", ("/auth/user", 7, "missing-key")),
        (LEAST + "auth: {kind: kerberos}\n", ("/auth/kind", 7, "unknown-word")),
        (
            LEAST + "hook: {kind: hmac, table: id, record_id: id}\n",
            ("/hook/header", 7, "missing-key"),
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    text: str, found: tuple[str, int, str]
) -> None:
    assert found in refused(text)


def test_settings_have_to_be_given_and_no_others() -> None:
    _, description = presets.read_text(presets.text("roundup"))
    assert chosen(description, {"user": "rps"}) == {"user": "rps", "class": "issue"}
    with pytest.raises(DefinitionRefused) as error:
        chosen(description, {"usr": "rps"})
    assert [p.remedy for p in error.value.problems] == [
        "give --set user=…",
        "did you mean 'user'?",
    ]


@pytest.mark.parametrize(
    "text",
    ["[" * 500, "a" * 1001, "|".join(["[@,@]"] * 9), "nope(", "@.foo.bar(1)["],
)
def test_an_expression_that_asks_for_too_much_is_refused(text: str) -> None:
    with pytest.raises(template.NotExpression):
        template.check(text)


def test_hostile_documents_are_refused_and_raise_nothing_else() -> None:
    for document in (None, [], "x", {"name": []}, {"tables": {"t": {"record": 1}}}):
        with pytest.raises(DefinitionRefused):
            read_description(document)


def test_the_example_of_the_docs_is_a_description() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rest-connector.md").read_text()
    [example] = [
        block for block in page.split("```yaml\n")[1:] if block.startswith("name: desk")
    ]
    _, description = presets.read_text(example.split("```")[0].encode())
    assert description.capabilities.grade == "B"
    hook = page.split("```yaml\nhook:")[1].split("```")[0]
    _, with_hook = presets.read_text(f"{LEAST}hook:{hook}".encode())
    assert with_hook.hook is not None
