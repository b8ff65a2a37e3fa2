"""What a member is written beside the fields that it maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from rps.domain.agreement import Member


def constant_fields(
    member: Member,
    fields: Mapping[str, Any],
    context: Mapping[str, Any],
    *,
    is_new: bool,
) -> dict[str, Any]:
    """Values by remote name, where the shared `fields` are written; `context` has
    those that its texts name beside them."""
    known = {**context, **fields}
    return {
        remote: each.said(known)
        for remote, each in member.constants.items()
        if is_new or not each.fields.isdisjoint(fields)
    }


def context_of(
    member: Member, written: Collection[str], values: Mapping[str, Any], *, is_new: bool
) -> dict[str, Any]:
    """Of the shared `values`, those that the member's constants and flow name and that
    are not `written` themselves; empty where nobody will ask."""
    if not member.context or not (written or is_new or member.flows):
        return {}
    return {
        name: values[name]
        for name in sorted(member.context)
        if name in values and name not in written
    }
