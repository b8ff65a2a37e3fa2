"""Whether an instance does what is asked of it, and which right is missing if not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rps.connectors.servicenow import attaching, journals
from rps.connectors.servicenow.answers import Good, NotThere
from rps.connectors.servicenow.instance import Rows
from rps.connectors.servicenow.polling import DELETIONS
from rps.connectors.servicenow.stamps import seconds_of
from rps.domain.delivery import Refused
from rps.domain.problem import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rps.connectors.servicenow.answers import Trouble
    from rps.connectors.servicenow.instance import Instance
    from rps.connectors.servicenow.reading import Records
    from rps.domain.uses import Uses

SKEW_SECONDS_MAX = 60.0
_AHEAD_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Checked:
    """`result`: `ok`, `warning` (it works, less well) or `error`; `remedy` "" where it
    is `ok`."""

    what: str
    result: str
    said: str
    remedy: str = ""


def answers(instance: Instance) -> tuple[bool, str]:
    """Whether it answers and takes us for who we say we are."""
    who = _who(instance)
    if isinstance(who, str):
        return True, f"answers as {who}" if who else "answers"
    return False, who.detail


def _who(instance: Instance) -> str | Trouble:
    """The account, "" where it may not be read."""
    name = instance.settings.username
    query = f"user_name={name}" if name else "user_name=javascript:gs.getUserName()"
    asked = instance.ask(
        "table/sys_user",
        {
            "sysparm_query": query,
            "sysparm_limit": "1",
            "sysparm_fields": "sys_id,user_name",
        },
    )
    if isinstance(asked, NotThere):
        if "No Record" in asked.detail or "nvalid table" in asked.detail:
            return name
        return _as_refused(asked)
    if not isinstance(asked, Good):
        return asked
    rows = asked.result if isinstance(asked.result, list) else []
    told = rows[0].get("user_name") if rows and isinstance(rows[0], dict) else ""
    return told if name and isinstance(told, str) and told else name


def _as_refused(asked: NotThere) -> Trouble:
    return Refused(f"{asked.detail}: is the URL an instance's?", asked.exchange)


def examined(records: Records, tables: Iterable[str]) -> Iterator[Checked]:
    """Reads, and for tables that are written to one PATCH that changes nothing."""
    instance = records.instance
    who = _who(instance)
    if not isinstance(who, str):
        yield Checked("system", "error", who.detail, "mend that first: nothing works")
        return
    yield Checked("system", "ok", f"answers as {who or 'the account of the token'}")
    yield _clock(instance)
    wanted = list(tables)
    if not wanted:
        yield Checked(
            "tables",
            "warning",
            "no published definition has a member of this system",
            "apply a definition that names it",
        )
    for table in wanted:
        yield from _table(records, table)
    uses = [records.uses(table) for table in wanted]
    yield from _beside(records, uses)


def _clock(instance: Instance) -> Checked:
    apart = instance.skew
    if abs(apart) <= SKEW_SECONDS_MAX:
        return Checked("clock", "ok", f"{abs(apart):.0f} s from this one")
    ahead = "ahead of" if apart > 0 else "behind"
    return Checked(
        "clock",
        "warning",
        f"{abs(apart):.0f} s {ahead} this one",
        "let both follow a time server: 'newer wins' goes by the clocks",
    )


# --- tables -------------------------------------------------------------------------


def _table(records: Records, table: str) -> Iterator[Checked]:
    uses = records.uses(table)
    came = records.instance.rows(table, "ORDERBYDESCsys_updated_on", limit=1)
    if not isinstance(came, Rows):
        role = "give the account a role that reads it (for tasks: itil)"
        yield Checked(f"table {table}", "error", came.detail, role)
        return
    if not came.rows:
        hidden = bool(came.total)
        said = f"{came.total} records, none may be read" if hidden else "is empty"
        remedy = (
            "correct the read access controls of the table"
            if hidden
            else "make one record, and check again: its columns show only then"
        )
        yield Checked(f"table {table}", "error" if hidden else "warning", said, remedy)
        return
    row = came.rows[0]
    yield Checked(f"table {table}", "ok", "is readable")
    yield from _columns(records, table, row, uses)
    yield from _stamps(records, table, row)
    if {"create", "update"} & uses.delivered:
        yield _writable(records, table, row)


def _columns(
    records: Records, table: str, row: dict[str, str], uses: Uses
) -> Iterator[Checked]:
    if absent := sorted(uses.fields.keys() - row.keys()):
        yield Checked(
            f"columns of {table}",
            "error",
            f"{listed(absent)} do not show",
            "correct the definition, or the access controls of these fields",
        )
    elif uses.fields:
        yield Checked(f"columns of {table}", "ok", f"all {len(uses.fields)} show")
    named = records.settings.correlation_field
    if named and named not in row and {"create"} & uses.delivered:
        yield Checked(
            f"{named} of {table}",
            "error",
            "does not show: a record whose creation was not answered cannot be found",
            "let the account read and write it, or name another column as"
            " correlation_field",
        )


def _stamps(records: Records, table: str, row: dict[str, str]) -> Iterator[Checked]:
    missing = sorted({"sys_updated_on", "sys_mod_count"} - row.keys())
    if missing:
        yield Checked(
            f"polling of {table}",
            "error",
            f"{listed(missing)} do not show",
            "let the account read them: changes are found by them",
        )
        return
    ahead = seconds_of(row["sys_updated_on"]) - records.instance.now
    if ahead > _AHEAD_SECONDS:
        yield Checked(
            f"polling of {table}",
            "warning",
            f"its newest record is stamped {ahead:.0f} s in the future",
            "give the account the time zone GMT, and look at the instance's clock",
        )


def _writable(records: Records, table: str, row: dict[str, str]) -> Checked:
    """A PATCH without fields: it is let through or not, and changes nothing."""
    told = records.instance.tell("PATCH", f"table/{table}/{row['sys_id']}", None, {})
    if isinstance(told, Good):
        return Checked(f"writing {table}", "ok", "is let through")
    return Checked(
        f"writing {table}",
        "error",
        told.detail,
        "give the account a role that writes it (for tasks: itil)",
    )


# --- what is beside tables ----------------------------------------------------------


def _beside(records: Records, uses: list[Uses]) -> Iterator[Checked]:
    if any(each.journals for each in uses):
        yield _seen(
            records,
            journals.TABLE,
            "journal entries",
            "error",
            f"let the account read {journals.TABLE} (role itil, or an access control"
            " of its own): comments there are not seen, and lost answers not settled",
        )
    if any(each.files for each in uses):
        yield _seen(
            records,
            attaching.TABLE,
            "attachments",
            "error",
            "let the account read and create attachments of the records' tables",
            attaching.PATH,
        )
    if any("delete" in each.captured for each in uses):
        yield _seen(
            records,
            DELETIONS,
            "deletions",
            "warning",
            f"let the account read {DELETIONS} (an access control of its own; admins"
            " may): deletions there are not seen",
        )


def _seen(
    records: Records, table: str, what: str, result: str, remedy: str, path: str = ""
) -> Checked:
    came = records.instance.rows(table, "ORDERBYDESCsys_created_on", limit=1, path=path)
    if not isinstance(came, Rows):
        return Checked(what, result, came.detail, remedy)
    if not came.rows and came.total:
        return Checked(what, result, f"{table}: none of its rows may be read", remedy)
    return Checked(what, "ok", f"{table} is readable")
