"""Answers: JSON, pages with a `Link`, entity tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from flask import Response, request

from rps.http import cursor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rps.domain.aggregate import Aggregate

JSON = "application/json"
NDJSON = "application/x-ndjson"


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """`value` as JSON; UUIDs and moments are written as texts."""
    made = Response(orjson.dumps(value), status, content_type=JSON)
    made.headers.extend({k.replace("_", "-"): v for k, v in headers.items()})
    return made


def of(aggregate: Aggregate, value: Any, status: int = 200) -> Response:
    """`value`, which shows `aggregate`: tagged with its version, dated."""
    made = answer(value, status)
    made.set_etag(str(aggregate.version))
    made.last_modified = aggregate.modified_on
    return made


def page(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    limit: int,
    sorted_by: Sequence[str],
    **more: Any,
) -> Response:
    """Up to `limit` of `rows`, of which one more was asked for than is shown.

    `sorted_by` names the columns whose last values make the cursor of the next page.
    """
    shown = list(rows[:limit])
    made = answer({name: shown, **more})
    if len(rows) > limit:
        values = tuple(shown[-1][column] for column in sorted_by)
        made.headers["Link"] = cursor.page_links(
            request.base_url, request.args, cursor.encode(values)
        )
    return made
