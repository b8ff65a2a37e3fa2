"""rps correlation: who takes part in a shared record."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared_tickets import share

if TYPE_CHECKING:
    from conftest import Rps

    from rps.application import RemoteProcessSync

WHY = ("--reason", "not theirs")


def statuses(application: RemoteProcessSync) -> list[tuple[Any, ...]]:
    with application.datastore.get_connection() as conn:
        rows = conn.execute(
            "SELECT operation, status::text FROM outbound_queue ORDER BY sequence"
        ).fetchall()
    return [tuple(row.values()) for row in rows]


def test_a_member_is_unlinked_and_linked_again(
    rps: Rps, application: RemoteProcessSync
) -> None:
    key = share(application)
    done = rps("correlation", "unlink", key, "zenith", *WHY)
    assert "zenith is unlinked" in done.stderr
    assert statuses(application) == [("create", "skipped")]
    rps("correlation", "relink", key, "zenith", *WHY)
    assert statuses(application)[-1] == ("create", "ready")
    rows = json.loads(rps("audit", "timeline", key, "-o", "json").stdout)
    assert "linked again" in json.dumps(rows[-1])


def test_the_whole_is_deactivated_and_reactivated(
    rps: Rps, application: RemoteProcessSync
) -> None:
    key = share(application)
    assert "deactivated" in rps("correlation", "deactivate", key, *WHY).stderr
    assert "reactivated" in rps("correlation", "reactivate", key, *WHY).stderr


def test_what_is_not_there_is_said(rps: Rps, application: RemoteProcessSync) -> None:
    key = share(application)
    assert rps("correlation", "unlink", key, "hooli", *WHY).exit_code == 3
    assert rps("correlation", "unlink", "nonsense", "zenith", *WHY).exit_code == 3
    assert rps("correlation", "unlink", key, "zenith").exit_code == 2
