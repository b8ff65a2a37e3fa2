from __future__ import annotations

from dataclasses import fields
from typing import Any, cast

import pytest
from eventsourcing.persistence import (
    DatetimeAsISO,
    DecimalAsStr,
    JSONTranscoder,
    Mapper,
    StoredEvent,
    UUIDAsHex,
)
from examples import FIELDS, example, kinds
from golden import forms, mapper, written

TOPICS = list(kinds())


def stored(topic: str, state: str) -> StoredEvent:
    return StoredEvent(
        FIELDS["originator_id"], FIELDS["originator_version"], topic, state.encode()
    )


def library_mapper() -> Mapper[Any]:
    transcoder = JSONTranscoder()
    for transcoding in (UUIDAsHex(), DecimalAsStr(), DatetimeAsISO()):
        transcoder.register(transcoding)
    return Mapper(transcoder)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_bytes_of_every_topic_are_the_ones_known(topic: str) -> None:
    """A failure here means that events are written differently. Where a field was
    added, `python tests/log/golden.py` adds the new form beside the old one."""
    assert written(topic) == forms()[topic][-1]


def test_no_topic_that_was_ever_stored_is_gone() -> None:
    assert sorted(forms()) == TOPICS


@pytest.mark.parametrize("topic", TOPICS)
def test_the_newest_bytes_of_every_topic_read_as_their_example(topic: str) -> None:
    event = mapper().to_domain_event(stored(topic, forms()[topic][-1]))
    assert event == example(topic)
    assert type(event) is kinds()[topic]


@pytest.mark.parametrize("topic", TOPICS)
def test_bytes_of_all_times_have_every_field_and_can_be_folded(topic: str) -> None:
    for form in forms()[topic]:
        event = cast("Any", mapper().to_domain_event(stored(topic, form)))
        for field in fields(event):
            getattr(event, field.name)
        blank = event.aggregate_class.blank(event.originator_id, event.timestamp)
        blank.version = event.originator_version - 1
        event.mutate(blank)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_librarys_mapper_reads_and_writes_the_same_bytes(topic: str) -> None:
    form = forms()[topic][-1]
    assert library_mapper().to_domain_event(stored(topic, form)) == example(topic)
    assert library_mapper().to_stored_event(example(topic)).state.decode() == form
