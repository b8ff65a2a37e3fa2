"""Signed notes and checkpoints, against the published examples of other makers."""

from __future__ import annotations

from base64 import b64decode
from hashlib import sha256

import pytest

from rps.log.checkpoint import Checkpoint, notes_in, succession, successor
from rps.log.note import (
    COSIGNATURE,
    Note,
    NoteUnreadable,
    PrivateKey,
    PublicKey,
    SignatureWrong,
)
from rps.log.trust import vouches

# golang.org/x/mod/sumdb/note
SECRET = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
OTHER_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg"
    "KvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
OTHER_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01"
    "oOTGwnWLox33WWd1RvMc+QQ=\n"
)
# c2sp.org/tlog-checkpoint and tlog-cosignature
CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4U"
    "RYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEh"
    "ZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def key(name: str = "rps/abc", seed: str = "one") -> PrivateKey:
    return PrivateKey(name, sha256(seed.encode()).digest())


def checkpoint(size: int = 7) -> Checkpoint:
    return Checkpoint("rps/abc", size, sha256(b"root").digest())


def test_a_note_is_signed_as_others_sign_it() -> None:
    peter = PrivateKey("PeterNeumann", SECRET)
    assert str(peter.public) == KEY
    assert str(Note(TEXT, (peter.sign(TEXT),))) == f"{TEXT}\n{LINE}"


def test_signatures_of_known_keys_are_checked_and_others_say_nothing() -> None:
    note = Note.of(f"{TEXT}\n{LINE}{OTHER_LINE}")
    peter, enoch = PublicKey.of(KEY), PublicKey.of(OTHER_KEY)
    assert note.signers([peter, enoch]) == [peter, enoch]
    assert note.signers([enoch]) == [enoch]
    assert note.signers([key().public]) == []


def test_a_note_whose_text_was_changed_is_found_out() -> None:
    changed = TEXT.replace("cryptography", "cryptographY")
    with pytest.raises(SignatureWrong, match="PeterNeumann"):
        Note.of(f"{changed}\n{LINE}").signers([PublicKey.of(KEY)])


@pytest.mark.parametrize(
    "written",
    [
        "",
        TEXT,
        f"{TEXT}{LINE}",
        f"{TEXT}\n{LINE.strip()}",
        f"{TEXT}\n- Peter x08go/ZJ\n",
        f"{TEXT}\n{LINE[:-3]}\n",
        f"{TEXT}\n— Peter x08goA=\n",
        f"{TEXT}\t\n{LINE}",
        f"\n\n{LINE}",
        f"{TEXT}\n{LINE * 65}",
    ],
)
def test_what_is_no_note_is_refused(written: str) -> None:
    with pytest.raises(NoteUnreadable):
        Note.of(written)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "Peter",
        KEY.replace("c74f20a3", "c74f20a4"),
        KEY.replace("Neumann", "neumann"),
        KEY[:-1],
        KEY[:-1] + "X",
        "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_what_is_no_key_is_refused(written: str) -> None:
    with pytest.raises(NoteUnreadable):
        PublicKey.of(written)


def test_a_checkpoint_of_another_maker_is_read_and_written_alike() -> None:
    note = Note.of(CHECKPOINT)
    said = Checkpoint.of(note.text)
    assert (said.origin, said.size) == ("example.com/behind-the-sofa", 20852163)
    assert said.text == note.text
    assert note.signatures[1].time() == 1679315147


def test_a_checkpoint_tells_where_the_reads_ended_and_minds_no_other_line() -> None:
    said = Checkpoint("rps/abc", 9, sha256(b"").digest(), (3, sha256(b"r").digest()))
    assert Checkpoint.of(said.text) == said
    assert Checkpoint.of(f"{said.text}another line\n") == said


@pytest.mark.parametrize(
    "size", ["", "-1", "07", "1.5", "x", "9" * 20, "9" * 5000, "²"]
)
def test_a_size_that_is_none_is_refused(size: str) -> None:
    root = checkpoint().text.split("\n")[2]
    with pytest.raises(NoteUnreadable):
        Checkpoint.of(f"rps/abc\n{size}\n{root}\n")


def test_a_witness_signs_with_the_time() -> None:
    witness = key("rps/witness")
    text = checkpoint().text
    line = witness.cosign(text, 1_700_000_000)
    note = Note.of(str(Note(text, (key().sign(text), line))))
    assert note.signers([witness.witness]) == [witness.witness]
    assert note.signatures[1].time() == 1_700_000_000
    assert note.signers([witness.public]) == []
    assert PublicKey.of(str(witness.witness)).kind == COSIGNATURE


def test_notes_one_after_the_other_are_told_apart() -> None:
    notes = [checkpoint(size).signed(key()) for size in (1, 2, 3)]
    written = "\n".join(str(each) for each in notes)
    assert list(notes_in(written)) == notes
    assert list(notes_in("".join(str(each) for each in notes))) == notes
    assert list(notes_in("")) == []
    with pytest.raises(NoteUnreadable):
        list(notes_in(written[:-10]))


def test_a_key_vouches_for_the_next_one_only() -> None:
    first, second, third = key(), key(seed="two"), key(seed="three")
    word = str(succession(second.public, first))
    assert successor(Note.of(word)) == second.public
    assert vouches(first.public, second.public, word)
    assert not vouches(first.public, third.public, word)
    assert not vouches(third.public, second.public, word)
    assert not vouches(first.public, second.public, "")
