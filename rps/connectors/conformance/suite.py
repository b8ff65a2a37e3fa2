"""The cases, in the order in which they are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.connectors.conformance import polling, troubles, writing
from rps.connectors.conformance.results import Failed, NotApplicable, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rps.connectors.conformance.tried import Tried

CASES: dict[str, Callable[[Tried], str | None]] = {
    "check": writing.check,
    "create": writing.create,
    "create-again": writing.create_again,
    "update": writing.update,
    "conditional-update": writing.conditional_update,
    "comment": writing.comment,
    "attachment": writing.attachment,
    "poll": polling.poll,
    "poll-pages": polling.poll_pages,
    "poll-edits": polling.poll_edits,
    "uncertain-create": troubles.uncertain_create,
    "uncertain-update": troubles.uncertain_update,
    "uncertain-comment": troubles.uncertain_comment,
    "throttling": troubles.throttling,
    "wrong-credentials": troubles.wrong_credentials,
    "deleted-record": troubles.deleted_record,
    "unknown-field": troubles.unknown_field,
}
NEEDED = ("check", "create")
"""Where one of these fails nothing further can be said."""


def run(tried: Tried) -> Iterator[Result]:
    for name, case in CASES.items():
        try:
            says = case(tried) or ""
        except NotApplicable as why:
            yield Result(name, None, str(why))
        except Failed as why:
            yield Result(name, False, str(why))
            if name in NEEDED:
                return
        else:
            yield Result(name, True, says)
