"""Sealed bytes: what opens them, and everything that does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rps.keys.envelope import Key, Unreadable, opened, sealed, sealed_under

KEY = Key(b"k" * 8, b"s" * 32)
PLACE = ("secrets", "sealed", "acme", "top")


@given(plain=st.binary(max_size=200))
def test_what_is_sealed_opens_at_its_place_under_its_key(plain: bytes) -> None:
    held = sealed(KEY, PLACE, plain)
    assert opened(KEY, PLACE, held) == plain
    assert sealed_under(held) == KEY.id
    assert len(plain) < 8 or plain not in held


def test_sealing_twice_gives_other_bytes() -> None:
    assert sealed(KEY, PLACE, b"same") != sealed(KEY, PLACE, b"same")


@pytest.mark.parametrize("part", range(4))
def test_it_does_not_open_in_another_table_column_row_or_domain(part: int) -> None:
    elsewhere = [*PLACE]
    elsewhere[part] += "x"
    with pytest.raises(Unreadable, match="another place"):
        opened(KEY, elsewhere, sealed(KEY, PLACE, b"secret"))


def test_places_whose_parts_run_together_are_not_the_same_place() -> None:
    held = sealed(KEY, ("ab", "c"), b"secret")
    with pytest.raises(Unreadable):
        opened(KEY, ("a", "bc"), held)


def test_any_changed_byte_shows() -> None:
    held = sealed(KEY, PLACE, b"secret")
    for place in range(len(held)):
        changed = bytearray(held)
        changed[place] ^= 1
        with pytest.raises(Unreadable):
            opened(KEY, PLACE, bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 9, 21, 36])
def test_what_is_cut_short_shows(length: int) -> None:
    with pytest.raises(Unreadable):
        opened(KEY, PLACE, sealed(KEY, PLACE, b"")[:length])


def test_another_key_is_named_and_no_secret_is() -> None:
    other = Key(b"o" * 8, b"p" * 32)
    with pytest.raises(Unreadable) as raised:
        opened(other, PLACE, sealed(KEY, PLACE, b"secret"))
    assert KEY.id.hex() in str(raised.value)
    assert other.id.hex() in str(raised.value)
    assert "ssss" not in repr(KEY)
