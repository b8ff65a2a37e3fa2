"""People of a node: accounts with passwords, and what became of their sign-ins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import psycopg
from argon2 import PasswordHasher

from rps.application.sign_in import SignIn
from rps.domain.account import Account

if TYPE_CHECKING:
    from api_node import Node

HASHER = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1)
"""As good for tests, and fast."""

PASSWORD = "mauve-otter-quilt"


def signing(node: Node) -> SignIn:
    return SignIn(node.application, os.urandom, HASHER)


def account(node: Node, name: str, domain: str = "top") -> Account:
    found = node.application.find(Account, Account.id_of(domain, name))
    assert found is not None
    return found


def facts(node: Node) -> list[tuple[Any, ...]]:
    """(what, account, source, count) of each, in order."""
    with psycopg.connect(node.application.database_url) as connection:
        return connection.execute(
            "SELECT what, account, source, count FROM sign_ins ORDER BY id"
        ).fetchall()
