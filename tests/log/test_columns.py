from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from logs import stream

from rps.log.columns import column

if TYPE_CHECKING:
    from rps.log.recorder import LogRecorder


def test_uuids_may_be_given_as_texts(recorder: LogRecorder) -> None:
    given = [str(stream("a")), None, stream("b").hex]
    with recorder._connection.use() as conn:
        row = conn.execute("SELECT %b::uuid[] AS it", [column("uuid_text", given)])
        found = row.fetchone()
    assert found == {"it": [stream("a"), None, stream("b")]}


@pytest.mark.parametrize("text", ["", "c0ffee", "no hexadecimal digits", "00" * 17])
def test_what_is_no_uuid_is_refused_before_it_is_sent(text: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|hexadecimal"):
        column("uuid_text", [text])
