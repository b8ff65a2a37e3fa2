"""Who reads a journal: the rule that keeps work notes from customers.

A member's journal is as visible as its map says (`visibility:`). Where the map is
silent, names that trackers commonly show to customers count as public and names they
commonly hide count as internal; any other name is as visible as the shared journal.
So an internal journal is mapped to `comments` only by writing `visibility: internal`
next to it, which is a promise about that system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rps.domain.agreement import Visibility

SHOWN_TO_CUSTOMERS = frozenset({
    "additionalcomment", "additionalcomments", "comment", "comments",
    "customercomments", "customernotes", "customervisiblenotes", "discussion",
    "publiccomment", "publiccomments", "publicnote", "publicnotes", "replies", "reply",
})  # fmt: skip
HIDDEN_FROM_CUSTOMERS = frozenset({
    "agentnotes", "internalcomment", "internalcomments", "internalnote",
    "internalnotes", "privatecomment", "privatecomments", "privatenote",
    "privatenotes", "worknote", "worknotes",
})  # fmt: skip


def is_hidden_name(name: str) -> bool:
    """Whether `name` is one that trackers commonly give to internal notes."""
    return _plain(name) in HIDDEN_FROM_CUSTOMERS


def seen_by(name: str, shared: Visibility) -> Visibility:
    """Visibility of a member's journal `name` whose map does not tell."""
    if _plain(name) in SHOWN_TO_CUSTOMERS:
        return "public"
    return "internal" if is_hidden_name(name) else shared


def leaks(source: Visibility, target: Visibility) -> bool:
    return source == "internal" and target == "public"


def _plain(name: str) -> str:
    """`Work Notes`, `work_notes` and `fields.work-notes` are one name."""
    return "".join(c for c in name.rpartition(".")[2].casefold() if c.isalnum())
