"""Systems described in YAML: from presets and files to settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rps.application.connections import REST
from rps.application.secret_store import SECRET_MAX, SecretStore, hook_name
from rps.cli.definition_files import problem_row, tell
from rps.cli.session import open_session
from rps.cli.terminal import Exit, Failure, say, show_json
from rps.cli.trust import authorities_in
from rps.connectors.rest import presets
from rps.connectors.rest.reading import chosen, read_description
from rps.domain.problem import DefinitionRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rps.cli.session import Session
    from rps.connectors.rest.description import Description


def described(source: str) -> tuple[Any, Description]:
    """The document of a preset, or of a file, and what it describes. Raises Failure
    where there is none, or something is wrong with it."""
    if source in presets.names():
        return presets.read_text(presets.text(source))
    file = Path(source)
    if not file.is_file():
        known = ", ".join(presets.names())
        raise Failure(
            f"{source} is neither a file nor one of the presets {known}", Exit.NOT_FOUND
        )
    try:
        return presets.read_text(file.read_bytes())
    except DefinitionRefused as refused:
        tell(problem_row(source, each) for each in refused.problems)
        raise Failure(f"{len(refused.problems)} problem(s) in {source}") from refused


def given_settings(pairs: Iterable[str], option: str = "--set") -> dict[str, str]:
    """From `key=value`."""
    made = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair}: write key=value", param_hint=option)
        made[key] = value
    return made


def settings_of(source: str, url: str, name: str, pairs: Iterable[str]) -> Any:
    """The settings of a system that is described so."""
    document, description = described(source)
    given = given_settings(pairs)
    try:
        chosen(description, given)
    except DefinitionRefused as refused:
        raise Failure("; ".join(p.cause for p in refused.problems)) from refused
    preset = source if source in presets.names() else ""
    return {
        "url": url,
        "secrets": [name],
        "described": document,
        "preset": preset,
        "set": given,
    }


def add_described(
    name: str,
    domain: str,
    url: str,
    about: str,
    source: str,
    pairs: tuple[str, ...],
    asked: Mapping[str, Any],
    secrets: tuple[str | None, str | None],
    ca: Path | None,
    output: str,
) -> None:
    """Register the system, or change it. `asked`: how it is polled, None for what
    nobody said; `secrets`: its own, and that of its hooks."""
    settings = settings_of(source, url, name, pairs)
    settings |= {key: value for key, value in asked.items() if value is not None}
    description = read_description(settings["described"])
    with open_session() as session:
        if pem := authorities_in(ca, url, session.now):
            settings["ca"] = pem
        keep_secrets(
            *(session, domain, name, *secrets),
            is_needed=description.auth.kind != "none",
        )
        _, made = session.application.register_system(
            *(domain, name, REST, about, settings), session.actor, session.now
        )
    able = description.capabilities
    say(
        f"{name} {'registered' if made else 'changed'}, of class {able.grade}"
        f"{', asked for its changes' if able.polls else ''}: rps system activate {name}"
    )
    if output == "json":
        show_json({"domain": domain, "name": name, "secret": None})


def keep_secrets(
    session: Session,
    domain: str,
    name: str,
    secret: str | None,
    hook_secret: str | None,
    *,
    is_needed: bool,
) -> None:
    """Raises Failure where the system has to have one and there is none."""
    store = SecretStore(session.application, os.urandom)
    for key, value in ((name, secret), (hook_name(name), hook_secret)):
        if value is not None:
            if not 1 <= len(value) <= SECRET_MAX:
                raise Failure(f"a secret has 1 to {SECRET_MAX} characters")
            store.keep(domain, key, value)
    if is_needed and not store.live(domain, [name]):
        raise Failure(
            f"{name} needs its password, token or key: --secret-file FILE", Exit.USAGE
        )
