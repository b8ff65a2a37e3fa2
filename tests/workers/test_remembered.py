"""What a receiver remembers has an end."""

from __future__ import annotations

from uuid import UUID

from rps.workers.remembered import Known, Remembered


def test_those_used_longest_ago_are_forgotten_first() -> None:
    remembered = Remembered(parts_max=3)
    for number in range(3):
        remembered.keep(Known.blank(UUID(int=number)).after(7, (), ()))
    remembered.keep(remembered.take(UUID(int=0)))
    remembered.keep(Known.blank(UUID(int=3)).after(7, (), ()))
    versions = [remembered.take(UUID(int=number)).version for number in range(4)]
    assert versions == [7, 0, 7, 7]


def test_a_correlation_counts_with_its_entries() -> None:
    remembered = Remembered(parts_max=100)
    remembered.keep(Known.blank(UUID(int=1)).after(7, (), ()))
    large = Known.blank(UUID(int=2)).after(7, (), ())
    large.correlation.entry_ids.update(map(str, range(1_000)))
    remembered.keep(large)
    assert remembered.take(UUID(int=1)).version == 0
    assert remembered.take(UUID(int=2)).version == 7
