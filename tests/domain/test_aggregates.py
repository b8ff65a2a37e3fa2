"""Systems, accounts, domains, definitions, replays: said twice changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from shared_record import definition

from rps.domain import account, process_sync_definition, remote_system
from rps.domain import replay as replays
from rps.domain.account import Account, RoleUnknown, TooManyTokens
from rps.domain.aggregate import identity, identity_text
from rps.domain.process_sync_definition import ProcessSyncDefinition
from rps.domain.remote_system import RemoteSystem, RemoteSystemDisabled
from rps.domain.replay import Replay, ReplayEnded
from rps.domain.tenancy import Domain, DomainPathRefused, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from rps.domain.aggregate import Event

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def given(aggregate: Any) -> Any:
    aggregate.collect_events()
    return aggregate


def when(aggregate: Any, *says: Callable[[Any], object]) -> list[Any]:
    for say in says:
        say(aggregate)
    return list(aggregate.collect_events())


def then(followed: list[Any], *facts: type[Event]) -> None:
    assert [type(each) for each in followed] == list(facts)


# --- remote systems -----------------------------------------------------------------


def system() -> Any:
    return given(RemoteSystem.registered("top", "acme", "push", "", {}, "eve", NOW))


def test_a_system_is_activated_paused_resumed_and_disabled_once() -> None:
    followed = when(
        system(),
        lambda each: [each.activate("eve", NOW) for _ in range(2)],
        lambda each: [each.pause("", "eve", NOW) for _ in range(2)],
        lambda each: [each.resume("", "eve", NOW) for _ in range(2)],
        lambda each: [each.disable("", "eve", NOW) for _ in range(2)],
    )
    then(
        followed,
        remote_system.SystemActivated,
        remote_system.SystemPaused,
        remote_system.SystemResumed,
        remote_system.SystemDisabled,
    )


def test_a_disabled_system_is_neither_paused_nor_resumed() -> None:
    with pytest.raises(RemoteSystemDisabled):
        system().pause("", "eve", NOW)
    with pytest.raises(RemoteSystemDisabled):
        system().resume("", "eve", NOW)


def test_a_system_trips_once_a_reason_and_activation_clears_it() -> None:
    acme = system()
    followed = when(
        acme,
        lambda each: [each.trip("down", NOW) for _ in range(2)],
        lambda each: each.activate("eve", NOW),
        lambda each: each.recover(NOW),
    )
    then(followed, remote_system.SystemTripped, remote_system.SystemActivated)
    assert acme.fault == ""


def test_a_change_of_nothing_is_none() -> None:
    then(when(system(), lambda each: each.change("", {}, "eve", NOW)))


# --- accounts -----------------------------------------------------------------------


def person() -> Any:
    return given(Account.created("top", "eve", "root", NOW))


def test_roles_are_granted_and_revoked_once() -> None:
    followed = when(
        person(),
        lambda each: [each.grant("auditor", "root", NOW) for _ in range(2)],
        lambda each: [each.revoke("auditor", "root", NOW) for _ in range(2)],
    )
    then(followed, account.AccountGranted, account.AccountRevoked)


def test_a_role_nobody_knows_is_refused() -> None:
    with pytest.raises(RoleUnknown):
        person().grant("king", "root", NOW)


def test_an_account_has_two_live_tokens_at_most() -> None:
    eve = person()
    eve.issue_token("1", "x", 1, "root", NOW)
    eve.issue_token("2", "y", 90, "root", NOW)
    with pytest.raises(TooManyTokens):
        eve.issue_token("3", "z", 90, "root", NOW)
    eve.issue_token("3", "z", 90, "root", NOW + timedelta(days=2))


@pytest.mark.parametrize(("asked", "given_"), [(-5, 1), (1, 1), (90, 90), (9999, 365)])
def test_a_token_lives_a_day_to_a_year(asked: int, given_: int) -> None:
    assert person().issue_token("1", "x", asked, "root", NOW) == (
        NOW + timedelta(days=given_)
    )


# --- domains ------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "Top", "top/", "/top", "top//a", "a/" * 10 + "a"])
def test_a_path_that_names_no_domain_is_refused(path: str) -> None:
    with pytest.raises(DomainPathRefused):
        Domain.created(path, "", "root", NOW)


def test_a_domain_is_within_itself_and_its_ancestors_only() -> None:
    assert within("top/a", "top/a")
    assert within("top/a/b", "top/a")
    assert not within("top/ab", "top/a")


# --- definitions --------------------------------------------------------------------


def test_a_definition_is_drafted_and_published_once() -> None:
    drafted = ProcessSyncDefinition.drafted(definition(), "eve", NOW)
    followed = when(
        drafted,
        lambda each: each.draft(definition(), "eve", NOW),
        lambda each: [each.publish([], "eve", NOW) for _ in range(2)],
    )
    then(
        followed,
        process_sync_definition.DefinitionDrafted,
        process_sync_definition.DefinitionPublished,
    )


def test_a_retired_definition_comes_back_as_the_next_revision() -> None:
    drafted = ProcessSyncDefinition.drafted(definition(), "eve", NOW)
    drafted.publish([], "eve", NOW)
    given(drafted)
    followed = when(
        drafted,
        lambda each: [each.retire("", "eve", NOW) for _ in range(2)],
        lambda each: [each.draft(definition(), "eve", NOW) for _ in range(2)],
        lambda each: each.publish([], "eve", NOW),
    )
    then(
        followed,
        process_sync_definition.DefinitionRetired,
        process_sync_definition.DefinitionPublished,
    )
    assert drafted.revision == 2


# --- replays ------------------------------------------------------------------------


def planned() -> Any:
    return given(Replay.planned(UUID(int=1), "top", {}, [], "asked", "eve", NOW))


def test_a_replay_begins_and_completes_once() -> None:
    followed = when(
        planned(),
        lambda each: [each.begin("eve", NOW) for _ in range(2)],
        lambda each: [each.complete(3, NOW) for _ in range(2)],
    )
    then(followed, replays.ReplayStarted, replays.ReplayCompleted)


def test_what_has_ended_does_not_begin_again() -> None:
    replay = planned()
    replay.cancel("", "eve", NOW)
    replay.cancel("", "eve", NOW)
    with pytest.raises(ReplayEnded):
        replay.begin("eve", NOW)
    assert len(replay.collect_events()) == 1


def test_a_completed_replay_cannot_be_cancelled() -> None:
    replay = planned()
    replay.begin("eve", NOW)
    replay.complete(0, NOW)
    with pytest.raises(ReplayEnded):
        replay.cancel("", "eve", NOW)


# --- identities ---------------------------------------------------------------------


@pytest.mark.parametrize("number", range(40))
def test_an_identity_is_the_same_as_a_text(number: int) -> None:
    names = ("message", "é" * number, str(number))
    assert identity_text(*names) == str(identity(*names))
