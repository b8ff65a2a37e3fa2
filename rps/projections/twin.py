"""A table's twin in another schema: made like it, and put in its place.

Constraints, indexes, storage settings, owner and grants keep their names, so that a
table that was replaced is the one the migrations made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, LiteralString

from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier

if TYPE_CHECKING:
    from psycopg import Connection

CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %s::regclass AND contype IN ('p', 'u', 'x') ORDER BY conname
"""
INDEXES = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid = %s::regclass
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
ORDER BY 1
"""
STORAGE = """
SELECT array_to_string(reloptions, ', ') FROM pg_class
WHERE oid = %s::regclass AND reloptions IS NOT NULL
"""
OWNER = """
SELECT pg_get_userbyid(relowner) FROM pg_class
WHERE oid = %s::regclass AND pg_get_userbyid(relowner) <> current_user
"""
GRANTS = """
SELECT g.privilege_type, g.is_grantable,
       CASE WHEN g.grantee = 0 THEN NULL ELSE pg_get_userbyid(g.grantee) END
FROM pg_class c CROSS JOIN aclexplode(c.relacl) AS g
WHERE c.oid = %s::regclass AND g.grantee <> c.relowner
"""


def create(conn: Connection[Any], table: str, schema: str) -> None:
    """An empty table `schema`.`table`, like the one of schema public, with the indexes
    of its constraints."""
    name, twin = Identifier("public", table), Identifier(schema, table)
    conn.execute(
        SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL EXCLUDING INDEXES)").format(
            twin, name
        )
    )
    for constraint, definition in _ask(conn, CONSTRAINTS, table):
        conn.execute(
            SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                twin, Identifier(constraint), _sql(definition)
            )
        )
    for (options,) in _ask(conn, STORAGE, table):
        conn.execute(SQL("ALTER TABLE {} SET ({})").format(twin, _sql(options)))


def index(conn: Connection[Any], table: str, schema: str) -> None:
    """Give `schema`.`table` the other indexes of the one in public."""
    for (definition,) in _ask(conn, INDEXES, table):
        conn.execute(_sql(definition.replace(" ON public.", f" ON {schema}.", 1)))


def replace(conn: Connection[Any], table: str, schema: str) -> None:
    """Put `schema`.`table` in the place of public's, in the transaction of `conn`."""
    name, twin = Identifier("public", table), Identifier(schema, table)
    grants, owner = _ask(conn, GRANTS, table), _ask(conn, OWNER, table)
    conn.execute(SQL("DROP TABLE {}").format(name))
    conn.execute(SQL("ALTER TABLE {} SET SCHEMA public").format(twin))
    for (role,) in owner:
        conn.execute(SQL("ALTER TABLE {} OWNER TO {}").format(name, Identifier(role)))
    for privilege, grantable, role in grants:
        conn.execute(
            SQL("GRANT {} ON {} TO {}{}").format(
                _sql(privilege),
                name,
                Identifier(role) if role else SQL("PUBLIC"),
                SQL(" WITH GRANT OPTION") if grantable else SQL(""),
            )
        )


def _ask(conn: Connection[Any], sql: LiteralString, table: str) -> list[Any]:
    cursor = conn.cursor(row_factory=tuple_row)
    return cursor.execute(sql, (f"public.{table}",)).fetchall()


def _sql(text: str) -> SQL:
    """What the database itself says about its own tables."""
    return SQL(text)
