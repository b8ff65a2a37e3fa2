"""Files are pulled, checked and only then passed on; whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import tracemalloc
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
from desk import Desk
from offering import Offering
from workplace import DEFINITION

from rps.application import RemoteProcessSync
from rps.application.blobs import CHUNK_BYTES, BlobContradicted, BlobTaken
from rps.application.operations import Operations
from rps.projections.rebuild import Rebuild
from rps.workers.fetcher import MISSING_ATTEMPTS

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = b"a screenshot" * 1000
LARGE = bytes(range(256)) * 4 * 3 * 1024 + b"and a bit"  # three chunks and a bit


@pytest.fixture
def desk(database: str) -> Iterator[Desk]:
    made = Desk(database)
    yield made
    made.close()


def test_a_message_goes_once_its_file_is_here_and_no_attempt_is_spent(
    desk: Desk,
) -> None:
    desk.offers(desk.acme.offer(SMALL), fields={"short_description": "one"})
    desk.receive()
    assert desk.deliver() == 0
    assert desk.messages() == [("ready", 0, "")]
    desk.fetch()
    assert desk.deliver() == 1
    assert desk.written() == [["shot.png"]]
    assert desk.blob(SMALL) == SMALL
    (sent,) = desk.trackers["zenith"].applied[0].attachments
    assert (sent.id, sent.version, sent.deleted) == (
        f"acme:{sent.sha256[:8]}",
        1,
        False,
    )
    assert desk.topics()[-4:] == [
        "message.released",
        "message.transmitted",
        "correlation.linked",
        "message.acknowledged",
    ]


def test_only_its_own_lane_waits(desk: Desk) -> None:
    desk.title("one")
    desk.settle()
    desk.offers(desk.acme.offer(SMALL))
    desk.title("behind it")
    desk.title("beside it", "A2")
    desk.settle()
    zenith = desk.trackers["zenith"]
    assert [w.fields.get("subject") for w in zenith.applied] == ["one", "beside it"]
    desk.fetch()
    desk.deliver()
    assert [w.fields.get("subject") for w in zenith.applied[2:]] == [None, "behind it"]


def test_a_file_that_is_here_is_not_pulled_again(desk: Desk) -> None:
    for record_id in ("A1", "A2"):
        desk.offers(desk.acme.offer(SMALL), record_id=record_id)
    desk.fetched()
    assert len(desk.acme.asked) == 1
    assert desk.written() == [["shot.png"], ["shot.png"]]


def test_a_cut_pull_goes_on_where_it_was(desk: Desk) -> None:
    desk.acme.cut_at = [2 * CHUNK_BYTES + 77]
    file = desk.acme.offer(LARGE)
    desk.offers(file)
    desk.fetched()
    assert [start for _, start in desk.acme.asked] == [0, 2 * CHUNK_BYTES + 77]
    assert desk.blob(LARGE) == LARGE
    assert desk.written() == [["shot.png"]]


def test_many_small_cuts_lose_nothing(desk: Desk) -> None:
    desk.acme.cut_at = [0, 1, 100, 5000, 1]
    desk.offers(desk.acme.offer(SMALL))
    desk.fetched()
    assert [start for _, start in desk.acme.asked] == [0, 0, 1, 101, 5101, 5102]
    assert desk.blob(SMALL) == SMALL


def test_a_fetcher_that_was_killed_is_followed_by_another(desk: Desk) -> None:
    file = desk.acme.offer(LARGE)
    desk.offers(file)
    desk.receive()
    writing = desk.application.blobs.begin("top", file["sha256"], file["size"])
    assert writing is not None
    writing.take(LARGE[: CHUNK_BYTES + 5])  # the five bytes die with it
    desk.fetch()
    assert desk.acme.asked == []  # still its
    desk.ask("UPDATE blobs SET leased_until = now()")
    desk.fetched()
    assert [start for _, start in desk.acme.asked] == [CHUNK_BYTES]
    assert desk.blob(LARGE) == LARGE
    with pytest.raises(BlobTaken):
        writing.take(LARGE[CHUNK_BYTES + 5 :])


def test_bytes_that_do_not_match_are_thrown_away_and_a_person_told(desk: Desk) -> None:
    file = desk.acme.offer(SMALL)
    desk.acme.files[file["sha256"]] = SMALL[::-1]
    desk.offers(file)
    desk.fetched()
    ((status, attempts, detail),) = desk.messages()
    assert (status, attempts) == ("error", 0)
    assert "'shot.png' (12 kB) of acme is not what was offered" in detail
    assert hashlib.sha256(SMALL[::-1]).hexdigest() in detail
    assert desk.ask("SELECT count(*) FROM blobs") == [(0,)]
    assert desk.ask("SELECT count(*) FROM blob_chunks") == [(0,)]
    # Mended over there, and asked for again.
    desk.acme.files[file["sha256"]] = SMALL
    retry(desk)
    desk.fetched()
    assert desk.written() == [["shot.png"]]


def retry(desk: Desk) -> None:
    (row,) = desk.ask("SELECT message_id FROM outbound_queue")
    operations = Operations(desk.application, desk.deliverer.lanes)
    operations.retry_message("top", row[0], "mended", "ann", desk.now())


@pytest.mark.parametrize("size", [len(SMALL) - 1, len(SMALL) + 1])
def test_a_file_of_another_size_than_offered_is_not_taken(
    desk: Desk, size: int
) -> None:
    desk.offers(desk.acme.offer(SMALL, size=size))
    desk.fetched()
    ((status, _, detail),) = desk.messages()
    assert status == "error"
    assert f"it has {len(SMALL)} bytes there by now" in detail


def test_a_size_that_contradicts_what_is_here_is_told(desk: Desk) -> None:
    desk.offers(desk.acme.offer(SMALL))
    desk.fetched()
    desk.offers(desk.acme.offer(SMALL, size=7), record_id="A2")
    desk.fetched()
    assert "acme offered it with 7" in desk.messages()[1][2]


def test_what_changed_between_two_parts_is_pulled_anew(desk: Desk) -> None:
    file = desk.acme.offer(LARGE)
    desk.acme.files[file["sha256"]] = LARGE[::-1]
    desk.acme.cut_at = [CHUNK_BYTES]
    desk.offers(file)
    desk.receive()
    desk.fetch()
    desk.acme.files[file["sha256"]] = LARGE
    desk.fetched()
    assert [start for _, start in desk.acme.asked] == [0, CHUNK_BYTES, 0]
    assert desk.blob(LARGE) == LARGE


def test_a_system_that_is_away_is_tried_by_the_schedule(desk: Desk) -> None:
    desk.acme.status = 503
    desk.offers(desk.acme.offer(SMALL))
    desk.receive()
    for attempts in range(1, 4):
        desk.fetch()
        rows = desk.ask("SELECT attempts, detail, due_at > now() FROM blobs")
        assert rows == [(attempts, "answered 503", True)]
        desk.fetch()  # not before it is time
        assert len(desk.acme.asked) == attempts
        desk.pause_over()
    desk.acme.status = 0
    desk.fetched()
    assert desk.written() == [["shot.png"]]


def test_a_file_that_is_not_there_waits_for_a_person_after_a_while(desk: Desk) -> None:
    file = desk.acme.offer(SMALL)
    del desk.acme.files[file["sha256"]]
    desk.offers(file)
    desk.fetched()
    assert len(desk.acme.asked) == MISSING_ATTEMPTS
    ((status, _, detail),) = desk.messages()
    assert status == "error"
    assert "tried 5 times to get the file 'shot.png' (12 kB) of acme" in detail
    assert "it is not there: answered 404" in detail


def test_a_paused_system_is_not_asked(desk: Desk) -> None:
    desk.offers(desk.acme.offer(SMALL))
    desk.receive()
    acme = desk.application.configuration.refresh().system("top", "acme")
    assert acme is not None
    desk.application.change(
        type(acme), acme.id, lambda s: s.pause("upgrade", "ann", desk.now())
    )
    desk.fetch()
    assert desk.acme.asked == []
    desk.application.activate_system(acme.id, "ann", desk.now())
    desk.fetched()
    assert desk.written() == [["shot.png"]]


def test_a_slow_file_holds_up_no_other_system(desk: Desk) -> None:
    zenith = Offering()
    desk.trackers["zenith"].fetch = zenith.fetch  # type: ignore[attr-defined]
    desk.acme.gate.clear()
    for number in range(5):
        desk.offers(desk.acme.offer(SMALL + bytes([number])), record_id=f"A{number}")
    desk.offers(zenith.offer(SMALL, name="z.png"), system="zenith", record_id="Z1")
    desk.receive()
    desk.fetcher.work()
    assert desk._done.acquire(timeout=30)
    desk.fetcher.work()
    desk.deliver()
    assert [len(w.attachments) for w in desk.trackers["acme"].applied] == [1]
    assert len(desk.acme.asked) <= 2
    desk.acme.gate.set()
    zenith.close()


def test_a_file_handed_in_before_needs_no_pull(desk: Desk) -> None:
    file = desk.acme.offer(SMALL)
    writing = desk.application.blobs.begin("top", file["sha256"], file["size"])
    assert writing is not None
    writing.take(SMALL)
    assert writing.finish()
    desk.offers(file)
    desk.fetched()
    assert desk.acme.asked == []
    assert desk.written() == [["shot.png"]]


def test_a_deletion_needs_no_bytes(desk: Desk) -> None:
    file = desk.acme.offer(SMALL)
    desk.offers(file)
    desk.fetched()
    desk.acme.files.clear()
    desk.offers({"id": file["id"], "deleted": True})
    desk.settle()
    (sent,) = desk.trackers["zenith"].applied[-1].attachments
    assert sent.deleted


def test_messages_put_together_bring_all_their_files(desk: Desk) -> None:
    document: dict[str, Any] = deepcopy(DEFINITION)
    document["attachments"] = {"journal": "comments"}
    document["members"]["zenith"]["delivery"] = "latest"
    desk.application.apply_definition(document, "tester", desk.now())
    desk.title("one")
    desk.settle()
    for number in range(3):
        file = desk.acme.offer(SMALL + bytes([number]), name=f"{number}.png")
        desk.offers(file, fields={"short_description": f"title {number}"})
    desk.receive()
    desk.title("and last")
    desk.receive()
    desk.fetched()
    zenith = desk.trackers["zenith"]
    assert zenith.records["Z1"].fields["subject"] == "and last"
    names = sorted(name for names in desk.written() for name in names)
    assert names == ["0.png", "1.png", "2.png"]


def test_two_fetchers_pull_a_file_once(desk: Desk) -> None:
    other = desk.new_fetcher()
    desk.acme.gate.clear()
    desk.offers(desk.acme.offer(LARGE))
    desk.receive()
    begun = desk.fetcher._begin() + other._begin()
    desk.acme.gate.set()
    for _ in range(begun):
        assert desk._done.acquire(timeout=30)
    other.close()
    desk.fetched()
    assert len(desk.acme.asked) == 1
    assert desk.blob(LARGE) == LARGE


def test_the_view_of_files_is_rebuilt_as_it_was(desk: Desk) -> None:
    desk.offers(desk.acme.offer(SMALL))
    desk.offers(desk.acme.offer(b"other"), record_id="A2")
    desk.receive()
    desk.fetch()
    desk.offers(desk.acme.offer(b"waits"), record_id="A3")
    desk.receive()
    owner = RemoteProcessSync(desk.application.database_url, role="")
    rebuild = Rebuild(owner.recorder, owner.event_mapper)
    assert rebuild.compare(["message_attachments", "outbound_queue"]) == []
    owner.close()


# --- the store ----------------------------------------------------------------------


def test_others_see_a_file_only_once_it_is_whole_and_right(desk: Desk) -> None:
    blobs = desk.application.blobs
    digest = hashlib.sha256(LARGE).hexdigest()
    writing = blobs.begin("top", digest, len(LARGE))
    assert writing is not None
    assert blobs.begin("top", digest, len(LARGE)) is None
    writing.take(LARGE[:-1])
    assert not writing.finish()
    assert not blobs.standing("top", digest).complete  # type: ignore[union-attr]
    with pytest.raises(BlobContradicted, match="more than"):
        writing.take(b"xx")
    writing.take(LARGE[-1:])
    assert writing.finish()
    assert blobs.standing("top", digest).complete  # type: ignore[union-attr]
    assert blobs.standing("top/else", digest) is None
    assert blobs.begin("top", digest, len(LARGE)) is None
    middle = b"".join(blobs.read("top", digest, CHUNK_BYTES - 3, 2 * CHUNK_BYTES + 3))
    assert middle == LARGE[CHUNK_BYTES - 3 : 2 * CHUNK_BYTES + 3]


def test_memory_does_not_grow_with_the_file(desk: Desk) -> None:
    piece = bytes(range(256)) * 256
    count = 64 * 1024 * 1024 // len(piece)
    digest = hashlib.sha256(piece * count).hexdigest()
    blobs = desk.application.blobs
    tracemalloc.start()
    try:
        writing = blobs.begin("top", digest, count * len(piece))
        assert writing is not None
        for _ in range(count):
            writing.take(piece)
        assert writing.finish()
        read = sum(len(each) for each in blobs.read("top", digest))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == count * len(piece)
    assert peak < 12 * 1024 * 1024
