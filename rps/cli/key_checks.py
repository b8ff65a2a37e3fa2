"""What `rps doctor` looks at in keys and sealed secrets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rps.application.secret_store import SecretStore
from rps.cli.findings import Finding
from rps.cli.keys import KeyUses
from rps.keys.envelope import KeyTrouble
from rps.keys.key_source import KeyFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rps.cli.session import Session

BRING_BACK = (
    "Nothing is lost while that key is somewhere; if it is lost for good: rps keys"
    " abandon ID."
)
MEND = "Set RPS_KEY_FILE, RPS_KEY or RPS_KEY_COMMAND to where the node's keys are."


def keys(session: Session) -> Iterator[Finding]:
    application = session.application
    source = application.cipher.keyring.source
    try:
        standing = KeyUses.of(application)
    except KeyTrouble as error:
        yield Finding("error", "keys", str(error), MEND)
        return
    if isinstance(source, KeyFile) and source.is_open_to_others:
        yield _warning(
            f"{source.path} can be read by others than its owner",
            f"chmod 600 {source.path}",
        )
    if not standing.known and not standing.uses:
        yield _warning(
            f"this node has no key yet ({source.name}): no secret can be kept",
            "rps init makes one; or set RPS_KEY, RPS_KEY_FILE or RPS_KEY_COMMAND.",
        )
    try:
        application.cipher.check()
    except KeyTrouble as error:
        yield Finding("error", "keys", str(error), BRING_BACK)
        return
    if standing.behind:
        yield _warning(
            f"{standing.behind} domain key(s) are not under the newest key",
            "rps keys rotate",
        )
    yield from _secrets(session)


def _secrets(session: Session) -> Iterator[Finding]:
    store = SecretStore(session.application, os.urandom)
    if plain := store.plain():
        yield _warning(
            f"{plain} secret(s) are kept plain, as the version before did",
            "rps keys encrypt, once every process runs this version",
        )
    for domain, name, why in store.check():
        yield Finding(
            "error",
            "keys",
            f"the secret {name!r} of {domain} cannot be read: {why}",
            "Somebody changed it in the database: find out who, then give it anew.",
        )


def _warning(cause: str, remedy: str) -> Finding:
    return Finding("warning", "keys", cause, remedy)
