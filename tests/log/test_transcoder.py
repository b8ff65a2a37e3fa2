from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    DatetimeAsISO,
    DecimalAsStr,
    JSONTranscoder,
    TranscodingNotRegisteredError,
    UUIDAsHex,
)
from hypothesis import given
from hypothesis import strategies as st

from rps.log.transcoder import OrjsonTranscoder

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

names = st.sampled_from(["_type_", "_data_", "_", "__", "___", "a"])
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    | st.sampled_from(["uuid_hex", '"_type_"', "_type_", 'x\\"_type_"'])
    | st.just(AT)
    | st.just(Decimal("1.50"))
)
plain = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner),
    max_leaves=12,
)


def registered(transcoder: JSONTranscoder) -> JSONTranscoder:
    for transcoding in (UUIDAsHex(), DecimalAsStr(), DatetimeAsISO()):
        transcoder.register(transcoding)
    return transcoder


OURS = registered(OrjsonTranscoder())
LIBRARY = registered(JSONTranscoder())


@given(st.dictionaries(names | st.just("timestamp"), plain))
def test_whatever_an_event_may_hold_is_read_as_it_was_written(state: Any) -> None:
    assert OURS.decode(OURS.encode(state)) == state


@given(st.dictionaries(names | st.just("timestamp"), plain))
def test_the_library_reads_whatever_we_write(state: Any) -> None:
    """It sees one name more where an object looked like one of its own."""
    assert type(LIBRARY.decode(OURS.encode(state))) is dict


def test_an_object_posing_as_one_of_the_librarys_comes_back_as_it_was_sent() -> None:
    """Anybody can post one; it would have stopped every reader of the log for ever."""
    for posing in (
        {"_type_": "uuid_hex", "_data_": "no hex"},
        {"_type_": "unheard of", "_data_": 1},
    ):
        state = {"timestamp": AT, "fields": posing, "entries": [{"x": posing}]}
        assert OURS.decode(OURS.encode(state)) == state
        LIBRARY.decode(OURS.encode(state))


def test_a_uuid_among_the_attributes_keeps_its_type() -> None:
    state = {"timestamp": AT, "owner": UUID(int=5)}
    assert OURS.decode(OURS.encode(state)) == state
    assert LIBRARY.decode(OURS.encode(state)) == state


@pytest.mark.parametrize("strange", [{1, 2}, object(), b"bytes", "\ud800"])
def test_what_json_has_no_word_for_is_refused(strange: Any) -> None:
    with pytest.raises(TranscodingNotRegisteredError):
        OURS.encode({"timestamp": AT, "field": strange})
