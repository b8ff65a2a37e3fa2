"""Files of a shared record: which are news, which may travel, and who is told."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from shared_record import SharedRecord, definition

from rps.domain.attachments import refusal, said_size
from rps.domain.document import DefinitionRefused, parse
from rps.domain.events import (
    AttachmentRefused,
    AttachmentsShared,
    ChangeAccepted,
    ChangeIgnored,
    CorrelationLinked,
    CorrelationOpened,
    MessageParked,
    MessageReleased,
    MessageRetried,
    MessageRevised,
)


def hashed(content: str) -> str:
    return sha256(content.encode()).hexdigest()


def a_file(
    id_: str = "1", name: str = "shot.png", content: str = "one", **more: Any
) -> dict[str, Any]:
    return {
        "id": id_,
        "name": name,
        "size": 3,
        "type": "image/png",
        "sha256": hashed(content),
        **more,
    }


def with_attachments(members: dict[str, Any] | None = None, **terms: Any) -> Any:
    document = definition(**(members or {})).to_document()
    document["attachments"] = {"journal": "comments", **terms}
    return parse(document)


def record(**terms: Any) -> SharedRecord:
    """In step at all three members, without files."""
    made = SharedRecord(with_attachments(**terms))
    made.shows("a", 1, operation="create", title="first")
    made.acknowledges("b", 1, title="firs")
    return made.acknowledges("c", 1)


def told(accepted: Any) -> dict[str, list[tuple[str, str]]]:
    """What each member is told of files: (id, content)."""
    return {
        each["member"]: [
            (file["id"], "gone" if file.get("deleted") else file["sha256"])
            for file in each.get("attachments", ())
        ]
        for each in accepted.messages
    }


def holds(made: SharedRecord) -> dict[str, str]:
    """The files of the shared record by id."""
    return {
        key: "gone" if each.deleted else each.shown["sha256"]
        for key, each in made.record.attached.items()
    }


# --- what travels -------------------------------------------------------------------


def test_a_file_goes_to_every_other_member() -> None:
    shared, accepted = (
        record()
        .shows("a", 2, attachments=[a_file()])
        .then(AttachmentsShared, ChangeAccepted)
    )
    assert told(accepted) == {key: [("a:1", hashed("one"))] for key in "bc"}
    assert shared.attachments == [a_file("a:1", version=1, system="a")]


def test_without_the_section_nothing_of_files_is_shared() -> None:
    made = SharedRecord()
    made.shows("a", 1, operation="create", title="first", attachments=[a_file()])
    (*_, accepted) = made.then(CorrelationOpened, CorrelationLinked, ChangeAccepted)
    assert not any("attachments" in each for each in accepted.messages)
    assert holds(made) == {}


def test_a_member_that_is_kept_out_neither_gives_nor_gets() -> None:
    kept_out = {"c": {"attachments": False}}
    made = SharedRecord(with_attachments(kept_out))
    made.shows("a", 1, operation="create", title="x", attachments=[a_file()])
    assert told(made.followed[-1]) == {"b": [("a:1", hashed("one"))], "c": []}
    made.acknowledges("b", 1).acknowledges("c", 1)
    made.shows("c", 2, attachments=[a_file("9", "other.png", "other")])
    made.then(ChangeIgnored)


def test_a_record_that_is_not_there_yet_gets_all_files() -> None:
    members = {"c": {"deliver": ["update", "create"]}}
    made = SharedRecord(with_attachments(members))
    files = [a_file("1"), a_file("2", "log.txt", "two")]
    made.shows("a", 1, operation="create", title="x", attachments=files)
    assert [each.operation for each in made.record.waiting("c")] == ["create"]
    assert told(made.followed[-1])["c"] == [
        ("a:1", hashed("one")),
        ("a:2", hashed("two")),
    ]


def test_what_is_shown_again_is_no_news() -> None:
    made = record().shows("a", 2, attachments=[a_file()])
    made.acknowledges("b", 2)
    made.shows("a", 3, attachments=[a_file()]).then(ChangeIgnored)
    made.shows("b", 3, attachments=[a_file("a:1")]).then(ChangeIgnored)


def test_an_echo_under_an_id_of_the_members_own_is_known_by_its_content() -> None:
    made = record(deletion=True).shows("a", 2, attachments=[a_file()])
    made.acknowledges("b", 2)
    seen, ignored = made.shows("b", 3, attachments=[a_file("77")]).then(
        AttachmentsShared, ChangeIgnored
    )
    assert (seen.attachments, ignored.reason) == ([], "echo")
    assert seen.seen == [{"id": "a:1", "as": "77", "sha256": hashed("one")}]
    gone, accepted = made.shows(
        "b", 4, attachments=[{"id": "77", "deleted": True}]
    ).then(AttachmentsShared, ChangeAccepted)
    assert gone.attachments[0]["deleted"]
    assert told(accepted)["a"] == [("a:1", "gone")]


def test_new_content_under_the_id_is_a_new_version() -> None:
    made = record().shows("a", 2, attachments=[a_file()])
    made.acknowledges("b", 2).acknowledges("c", 2)
    shared, _ = made.shows("b", 3, attachments=[a_file("a:1", content="two")]).then(
        AttachmentsShared, ChangeAccepted
    )
    assert shared.attachments == [
        a_file("a:1", content="two", version=2, system="b"),
    ]
    assert told(made.followed[-1]) == {key: [("a:1", hashed("two"))] for key in "ac"}


def test_a_second_file_of_one_name_is_its_next_version_and_both_stay() -> None:
    made = record().shows("a", 2, attachments=[a_file(), a_file("2", content="two")])
    shared, accepted = made.then(AttachmentsShared, ChangeAccepted)
    assert [(f["id"], f["version"]) for f in shared.attachments] == [
        ("a:1", 1),
        ("a:2", 2),
    ]
    assert len(told(accepted)["b"]) == 2


def test_the_same_file_put_there_twice_is_two_files() -> None:
    made = record(deletion=True).shows("a", 2, attachments=[a_file(), a_file("2")])
    assert set(holds(made)) == {"a:1", "a:2"}
    made.shows("a", 3, attachments=[{"id": "2", "deleted": True}])
    assert holds(made) == {"a:1": hashed("one"), "a:2": "gone"}


def test_an_older_version_that_comes_back_changes_nothing() -> None:
    """`b` shows what it had before a message that is still under way."""
    made = record().shows("a", 2, attachments=[a_file()])
    made.acknowledges("b", 2)
    made.shows("a", 3, attachments=[a_file(content="two")])
    made.shows("b", 3, attachments=[a_file("a:1")]).then(ChangeIgnored)
    assert holds(made) == {"a:1": hashed("two")}


def test_of_two_versions_made_at_once_the_one_that_came_last_ends_everywhere() -> None:
    made = record().shows("a", 2, attachments=[a_file()])
    made.acknowledges("b", 2).acknowledges("c", 2)
    made.shows("a", 3, attachments=[a_file(content="of a")])
    _, accepted, *_ = made.shows(
        "b", 3, attachments=[a_file("a:1", content="of b")]
    ).followed
    last = [("a:1", hashed("of b"))]
    assert told(accepted) == {"a": last, "b": last, "c": last}


def test_who_had_not_heard_of_the_last_content_is_told_its_own_again() -> None:
    """Else it would keep ours, and all others have its own: its report came late."""
    made = record().shows("a", 2, attachments=[a_file()])
    made.acknowledges("b", 2).acknowledges("c", 2)
    made.shows("a", 3, attachments=[a_file(content="of a")])
    made.acknowledges("b", 4).acknowledges("c", 4)
    _, accepted = made.shows("b", 3, attachments=[a_file("a:1", content="of b")]).then(
        AttachmentsShared, ChangeAccepted
    )
    last = [("a:1", hashed("of b"))]
    assert told(accepted) == {"a": last, "b": last, "c": last}


def test_a_file_removed_before_hearing_of_its_last_content_is_kept() -> None:
    made = record(deletion=True).shows("a", 2, attachments=[a_file()])
    made.acknowledges("b", 2).acknowledges("c", 2)
    made.shows("a", 3, attachments=[a_file(content="of a")])
    made.acknowledges("b", 4).acknowledges("c", 4)
    gone = [{"id": "a:1", "deleted": True}]
    made.shows("b", 3, attachments=gone).then(ChangeIgnored)
    assert holds(made) == {"a:1": hashed("of a")}


# --- deletion -----------------------------------------------------------------------


def test_a_deletion_is_carried_where_the_definition_says_so() -> None:
    made = record(deletion=True).shows("a", 2, attachments=[a_file()])
    gone = [{"id": "1", "deleted": True}]
    _, accepted = made.shows("a", 3, attachments=gone).then(
        AttachmentsShared, ChangeAccepted
    )
    assert told(accepted) == {key: [("a:1", "gone")] for key in "bc"}
    made.shows("a", 4, attachments=gone).then(ChangeIgnored)


def test_else_it_is_only_noted() -> None:
    made = record().shows("a", 2, attachments=[a_file()])
    gone = [{"id": "1", "deleted": True}]
    seen, _ = made.shows("a", 3, attachments=gone).then(
        AttachmentsShared, ChangeIgnored
    )
    assert seen.seen == [{"id": "a:1", "as": "1", "sha256": None}]
    assert holds(made) == {"a:1": hashed("one")}
    made.shows("a", 4, attachments=gone).then(ChangeIgnored)


def test_a_deleted_file_is_not_brought_back_by_who_has_not_heard_of_it() -> None:
    made = record(deletion=True).shows("a", 2, attachments=[a_file()])
    made.acknowledges("b", 2)
    made.shows("a", 3, attachments=[{"id": "1", "deleted": True}])
    made.shows("b", 3, attachments=[a_file("a:1")]).then(ChangeIgnored)
    assert holds(made) == {"a:1": "gone"}


def test_a_file_put_there_again_after_its_deletion_is_shared_again() -> None:
    made = record(deletion=True).shows("a", 2, attachments=[a_file()])
    made.shows("a", 3, attachments=[{"id": "1", "deleted": True}])
    made.shows("a", 4, attachments=[a_file()]).then(AttachmentsShared, ChangeAccepted)
    assert holds(made) == {"a:1": hashed("one")}


def test_the_deletion_of_what_nobody_shares_changes_nothing() -> None:
    made = record(deletion=True)
    made.shows("a", 2, attachments=[{"id": "9", "deleted": True}]).then(ChangeIgnored)


# --- what does not travel -----------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"name": "x.exe"}, "files of kind .exe are not allowed here, only png, txt"),
        ({"name": "x.png.EXE"}, "files of kind .exe are not"),
        ({"name": "README"}, "files without extension are not allowed"),
        ({"size": 0}, "it is empty"),
        ({"size": 1_000_001}, "the largest allowed here is 1 MB"),
        ({"name": ""}, "it has no name"),
        ({"name": " \t"}, "it has no name"),
        ({"name": "../../etc/passwd.png"}, "its name is a path"),
        ({"name": "C:\\windows\\x.png"}, "its name is a path"),
        ({"name": ".."}, "its name is a path"),
        ({"name": "a\nb.png"}, "control characters"),
        ({"name": "a\x7f.png"}, "control characters"),
        ({"name": "invoice\u202egnp.exe"}, "control characters"),
        ({"name": "a\u2028b.png"}, "control characters"),
        ({"name": "x.png."}, "ends with a dot"),
        ({"name": " x.png"}, "begins or ends with a space"),
        ({"name": "ä" * 126 + ".png"}, "longer than 255 bytes"),
    ],
)
def test_a_file_that_may_not_travel_says_why(more: Any, reason: str) -> None:
    terms = with_attachments(size_max="1 MB", extensions=["png", "txt"]).attachments
    assert reason in refusal(terms, a_file(**more))


@pytest.mark.parametrize(
    "name", ["x.png", "X.PNG", "Grüße 世界 👩‍🚀.png", "a'b\"c;d.png"]
)
def test_ordinary_names_travel(name: str) -> None:
    terms = with_attachments(size_max=3, extensions=["png"]).attachments
    assert refusal(terms, a_file(name=name)) == ""


def test_people_on_all_sides_read_of_a_refused_file_once() -> None:
    made = record(extensions=["png"])
    bad = a_file("2", "x.exe", "bad", size=3_141_592)
    refused, accepted = made.shows("a", 2, attachments=[bad]).then(
        AttachmentRefused, ChangeAccepted
    )
    assert refused.attachment["name"] == "x.exe"
    texts = {
        each["member"]: [entry["text"] for entry in each["entries"]]
        for each in accepted.messages
    }
    text = (
        "The file 'x.exe' (3.1 MB) of a was not passed on: files of kind .exe are not"
        " allowed here, only png."
    )
    assert texts == {key: [text] for key in "abc"}
    assert told(accepted) == {"a": [], "b": [], "c": []}
    assert holds(made) == {}
    made.shows("a", 3, attachments=[bad]).then(ChangeIgnored)
    # Nor does the entry come back as somebody's comment.
    entry = {"id": refused.entry_id, "journal": "comments", "text": text}
    made.shows("a", 4, entries=[entry]).then(ChangeIgnored)


def test_beside_a_refused_file_the_rest_of_the_change_travels() -> None:
    made = record(extensions=["png"])
    files = [a_file("1"), a_file("2", "x.exe", "bad")]
    _, _, accepted = made.shows("a", 2, state="open", attachments=files).then(
        AttachmentsShared, AttachmentRefused, ChangeAccepted
    )
    assert told(accepted)["b"] == [("a:1", hashed("one"))]
    assert accepted.values == {"state": "open"}


def test_a_refused_version_leaves_the_one_before_it() -> None:
    made = record(size_max=10).shows("a", 2, attachments=[a_file()])
    made.shows("a", 3, attachments=[a_file(content="large", size=11)]).then(
        AttachmentRefused, ChangeAccepted
    )
    assert holds(made) == {"a:1": hashed("one")}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("text/plain; charset=utf-8", "text/plain"),
        ("IMAGE/PNG", "image/png"),
        ("", "application/octet-stream"),
        ("text/html\r\nSet-Cookie: x", "application/octet-stream"),
        ("x" * 200 + "/y", "application/octet-stream"),
    ],
)
def test_a_type_is_told_only_where_it_is_one(given: str, kept: str) -> None:
    made = record().shows("a", 2, attachments=[a_file(type=given)])
    assert made.record.attached["a:1"].shown["type"] == kept


def test_sizes_are_said_as_people_say_them() -> None:
    said = [said_size(size) for size in (1, 999, 1000, 25_000_000, 3_141_592_653)]
    assert said == ["1 bytes", "999 bytes", "1 kB", "25 MB", "3.1 GB"]


# --- messages that wait for their bytes ---------------------------------------------


def test_a_message_waits_for_its_files_until_they_are_here() -> None:
    made = record().shows("a", 2, attachments=[a_file()])
    (waiting,) = made.record.waiting("b")
    assert waiting.waits

    def release(each: Any) -> None:
        each.release_message(waiting.message_id, made.now)

    made.when(release).then(MessageReleased)
    assert not made.record.waiting("b")[0].waits
    made.when(release).then()


def test_a_deletion_waits_for_no_bytes() -> None:
    made = record(deletion=True).shows("a", 2, attachments=[a_file()])
    made.shows("a", 3, attachments=[{"id": "1", "deleted": True}])
    assert [each.waits for each in made.record.waiting("b")] == [True, False]


def test_a_message_made_anew_keeps_its_files_and_looks_for_them_again() -> None:
    made = record().shows("a", 2, title="more", attachments=[a_file()])
    made.fails("b", "moved")
    _, revised = made.shows("b", 2, tags=["q"], source="read_back").then(
        ChangeAccepted, MessageRevised
    )
    assert [each["id"] for each in revised.attachments] == ["a:1"]
    assert revised.waits


def test_a_message_whose_values_are_superseded_still_brings_its_files() -> None:
    made = record().shows("a", 2, state="open", attachments=[a_file()])
    made.fails("b", "moved")
    (ignored, revised) = made.shows("b", 2, state="open", source="read_back").then(
        ChangeIgnored, MessageRevised
    )
    assert (ignored.reason, revised.fields) == ("echo", {})
    assert len(revised.attachments) == 1


def test_files_that_do_not_come_wait_for_a_person_who_may_have_them_looked_for() -> (
    None
):
    made = record().shows("a", 2, attachments=[a_file()])
    (waiting,) = made.record.waiting("b")
    key = waiting.message_id
    made.when(lambda each: each.park_message(key, "no bytes", made.now))
    made.then(MessageParked)
    made.when(lambda each: each.release_message(key, made.now)).then(MessageReleased)
    made.when(lambda each: each.retry_message(key, "again", "ann", made.now))
    (retried,) = made.then(MessageRetried)
    assert retried.waits
    assert made.record.waiting("b")[0].waits


def test_a_replay_brings_files_as_they_are_now() -> None:
    made = record(deletion=True)
    files = [a_file("1"), a_file("2", "log.txt", "two")]
    made.shows("a", 2, attachments=files)
    made.acknowledges("b", 2)
    made.shows("a", 3, attachments=[{"id": "2", "deleted": True}])
    message = made.record.replay_message(
        "r1", "b", [], [], made.definition, ["a:1", "a:2", "unheard of"]
    )
    assert message is not None
    assert [(f["id"], f.get("deleted")) for f in message["attachments"]] == [
        ("a:1", None),
        ("a:2", True),
    ]


# --- definitions --------------------------------------------------------------------


def test_defaults_are_written_out() -> None:
    made = with_attachments()
    assert made.to_document()["attachments"] == {
        "journal": "comments",
        "size_max": 25_000_000,
        "extensions": [],
        "deletion": False,
    }
    assert parse(made.to_document()) == made


def test_a_definition_without_the_section_is_the_document_it_was() -> None:
    assert "attachments" not in str(definition().to_document())


@pytest.mark.parametrize(
    ("size", "count"),
    [(1, 1), ("25 MB", 25_000_000), ("3kB", 3_000), ("10 GB", 10_000_000_000)],
)
def test_sizes_are_numbers_of_bytes_or_with_a_unit(size: Any, count: int) -> None:
    assert with_attachments(size_max=size).attachments.size_max == count


@pytest.mark.parametrize(
    ("terms", "code", "place"),
    [
        ({"size_max": 0}, "out-of-range", "/attachments/size_max"),
        ({"size_max": True}, "out-of-range", "/attachments/size_max"),
        ({"size_max": "25 MiB"}, "out-of-range", "/attachments/size_max"),
        ({"size_max": "11 GB"}, "out-of-range", "/attachments/size_max"),
        ({"extensions": [".png"]}, "bad-text", "/attachments/extensions/0"),
        ({"extensions": ["PNG"]}, "bad-text", "/attachments/extensions/0"),
        ({"deletion": "yes"}, "wrong-type", "/attachments/deletion"),
        ({"journal": "nothing"}, "unknown-journal", "/attachments/journal"),
        ({"journal": None}, "wrong-type", "/attachments/journal"),
        ({"sizemax": 1}, "unknown-key", "/attachments/sizemax"),
    ],
)
def test_what_is_wrong_with_the_section(terms: Any, code: str, place: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        with_attachments(**terms)
    assert [(p.code, p.place) for p in refused.value.problems] == [(code, place)]


@pytest.mark.parametrize(
    ("members", "code", "place"),
    [
        (
            {"a": {"attachments": False}, "b": {"attachments": False}},
            "attachments-goes-nowhere",
            "/attachments",
        ),
        ({"a": {"journals": {}}}, "attachments-untold", "/members/a"),
        ({"a": {"attachments": "no"}}, "wrong-type", "/members/a/attachments"),
    ],
)
def test_what_is_wrong_with_who_takes_part(members: Any, code: str, place: str) -> None:
    document = definition().to_document()
    document["attachments"] = {"journal": "comments"}
    for name, more in members.items():
        document["members"][name] |= more
    with pytest.raises(DefinitionRefused) as refused:
        parse(document)
    assert [(p.code, p.place) for p in refused.value.problems] == [(code, place)]


def test_a_member_nobody_writes_to_need_not_map_the_journal() -> None:
    document = definition().to_document()
    document["attachments"] = {"journal": "comments"}
    document["members"]["a"] |= {"journals": {}, "deliver": []}
    assert parse(document).attachments is not None
