"""The one table of what ends a command, and how."""

from __future__ import annotations

import psycopg
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import PersistenceError, ProgrammingError

from rps.application import Contended
from rps.application.audit_keys import KeyMissing
from rps.application.checkpoints import CheckpointRefused, NotCovered
from rps.application.connections import ConnectorUnknown
from rps.application.invitation import InvitationRefused
from rps.application.neighbours import NotANode, PeerUnanswered
from rps.application.operations import (
    LaneBusy,
    NotFound,
    NotOpen,
    RecordTaken,
    ReplayTooLarge,
    ValueRefused,
)
from rps.application.passwords import PasswordRefused
from rps.application.subscriptions import SecretMissing
from rps.cli.terminal import Exit, Failure
from rps.config import ConfigurationError
from rps.connectors.announcing import ChannelUnusable
from rps.connectors.openid import ProviderFailed
from rps.connectors.signature import SecretUnusable
from rps.domain.account import RoleUnknown, TooManyTokens
from rps.domain.definition_story import RevisionUnknown
from rps.domain.process_sync_definition import NothingToPublish
from rps.domain.remote_system import ConnectorFixed, RemoteSystemDisabled
from rps.domain.replay import ReplayEnded
from rps.domain.subscription import NotSubscribed, SubscriptionKindFixed
from rps.domain.tenancy import DomainPathRefused
from rps.domain.treatment import TreatmentEnded
from rps.installation import PostgresError
from rps.keys.envelope import KeyTrouble
from rps.migrate import MigrationError
from rps.projections.rebuild import ViewUnknown

_RIGHTS = "docs/operating.md says which rights serving and migrating take"

# The first that fits counts: special ones before general ones.
ENDINGS: tuple[tuple[type[Exception], Exit, str], ...] = (
    (ConfigurationError, Exit.USAGE, "{error}"),
    (DomainPathRefused, Exit.USAGE, "{error}: a domain is a path like top/acme"),
    (RoleUnknown, Exit.USAGE, "{error}"),
    (PasswordRefused, Exit.USAGE, "the password is not taken: {error}"),
    (ProviderFailed, Exit.UNREACHABLE, "the provider cannot be used: {error}"),
    (ViewUnknown, Exit.USAGE, "{error}"),
    (ConnectorUnknown, Exit.USAGE, "there is no connector {error}"),
    (SecretUnusable, Exit.USAGE, "{error}"),
    (KeyTrouble, Exit.USAGE, "{error}"),
    (ConnectorFixed, Exit.USAGE, "{error}: choose another name"),
    (SubscriptionKindFixed, Exit.USAGE, "{error}: choose another name"),
    (SecretMissing, Exit.USAGE, "{error} needs the apprise URL: --secret-file"),
    (ChannelUnusable, Exit.USAGE, "{error}"),
    (NotSubscribed, Exit.NOT_FOUND, "there is no subscription {error} any more"),
    (InvitationRefused, Exit.USAGE, "{error}"),
    (PeerUnanswered, Exit.UNREACHABLE, "the other node: {error}"),
    (NotANode, Exit.USAGE, "{error} is no linked node: rps system invite"),
    (NotFound, Exit.NOT_FOUND, "{error}"),
    (AggregateNotFoundError, Exit.NOT_FOUND, "nothing is known of {error}"),
    (NotCovered, Exit.NOT_FOUND, "{error}"),
    (CheckpointRefused, Exit.FAILED, "the log is not what it was: {error}"),
    (KeyMissing, Exit.FAILED, "{error}"),
    (LaneBusy, Exit.FAILED, "somebody works on {error} now: try again in a moment"),
    (NotOpen, Exit.FAILED, "{error}"),
    (RecordTaken, Exit.FAILED, "{error}"),
    (ReplayTooLarge, Exit.FAILED, "{error}"),
    (ValueRefused, Exit.USAGE, "{error}"),
    (ReplayEnded, Exit.FAILED, "the replay was {error} before"),
    (TreatmentEnded, Exit.FAILED, "the treatment was {error} before"),
    (TooManyTokens, Exit.FAILED, "{error} has two live tokens: revoke one first"),
    (
        RemoteSystemDisabled,
        Exit.FAILED,
        "{error} is disabled: activate it first (rps system activate {error})",
    ),
    (RevisionUnknown, Exit.NOT_FOUND, "{error}"),
    (NothingToPublish, Exit.FAILED, "{error} has no draft to publish"),
    (Contended, Exit.FAILED, "{error}"),
    (MigrationError, Exit.FAILED, "{error}"),
    (PostgresError, Exit.UNREACHABLE, "{error}"),
    (
        psycopg.errors.InsufficientPrivilege,
        Exit.FAILED,
        "the database login may not do this: {error} (" + _RIGHTS + ")",
    ),
    (
        ProgrammingError,
        Exit.FAILED,
        "the database refused: {error} (" + _RIGHTS + ")",
    ),
    (psycopg.OperationalError, Exit.UNREACHABLE, "the database is away: {error}"),
    (PersistenceError, Exit.UNREACHABLE, "the database is away: {error}"),
)
FORESEEN = tuple(kind for kind, _, _ in ENDINGS)


def as_failure(error: Exception) -> Failure:
    """The ending of an error that is in the table."""
    for kind, code, text in ENDINGS:
        if isinstance(error, kind):
            return Failure(text.format(error=str(error).strip()), code)
    raise error
