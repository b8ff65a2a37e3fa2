"""What the product's own errors are answered with: the one table."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import IntegrityError
from flask import g
from werkzeug.exceptions import NotFound as NoSuchRoute

from rps.application import Contended
from rps.application.arrivals import MessageRefused
from rps.application.audit_keys import KeyMissing
from rps.application.blobs import BlobContradicted, BlobTaken
from rps.application.capture import SystemUnknown
from rps.application.checkpoints import CheckpointRefused, NotCovered
from rps.application.connections import ConnectorUnknown
from rps.application.dry_run import NotOfDefinition, RecordUnread
from rps.application.invitation import InvitationRefused
from rps.application.operations import (
    LaneBusy,
    NotFound,
    NotOpen,
    RecordTaken,
    ReplayTooLarge,
    ValueRefused,
)
from rps.application.subscriptions import SecretMissing
from rps.application.tokens import NotAuthenticated
from rps.connectors.announcing import ChannelUnusable
from rps.connectors.signature import SecretUnusable, SignatureRefused
from rps.domain.account import RoleUnknown, TooManyTokens
from rps.domain.correlation import MessageUnknown
from rps.domain.definition_story import RevisionUnknown
from rps.domain.problem import DefinitionRefused
from rps.domain.process_sync_definition import NothingToPublish
from rps.domain.remote_system import ConnectorFixed, RemoteSystemDisabled
from rps.domain.replay import ReplayEnded
from rps.domain.subscription import NotSubscribed, SubscriptionKindFixed
from rps.domain.tenancy import DomainPathRefused
from rps.domain.treatment import TreatmentEnded
from rps.http.access import RoleMissing
from rps.http.file_answers import FileRefused
from rps.http.inputs import HeaderRefused, QueryRefused
from rps.http.problems import Problem
from rps.http.refusals import ChangeIdRepeated, CheckFailed, NotTakenNow
from rps.keys.envelope import KeyTrouble
from rps.log.append import ChangeIdReused, ConfigurationMoved, LeaseLost, VersionTaken
from rps.log.note import NoteUnreadable

if TYPE_CHECKING:
    from rps.http.problems import Table


def place_of(index: int | None, key: str) -> str | None:
    """Where in the body of posted changes: a lone change has no index."""
    if index is None:
        return None
    return f"/{key}" if g.get("single_change") else f"/{index}/{key}"


def _not_found(_: Exception) -> Problem:
    # The same for what is not there and for what is not yours.
    return Problem(
        404, "not-found", "There is no such thing", "Nothing of that name is here."
    )


def _not_authenticated(_: Exception) -> Problem:
    return Problem(
        401,
        "not-authenticated",
        "The token is not accepted",
        "Send a live token as 'Authorization: Bearer rps_…'.",
    )


def _signature_refused(error: SignatureRefused) -> Problem:
    title = "The signature is not accepted"
    return Problem(401, "signature-refused", title, f"{error}.")


def _not_taken_now(error: NotTakenNow) -> Problem:
    return Problem(
        503,
        "not-taken-now",
        f"Messages are not taken: the link is {error.state} on this side",
        "Keep them; they are taken once people here resume it.",
        headers={"Retry-After": str(error.seconds)},
    )


def _invitation_refused(error: InvitationRefused) -> Problem:
    title = "The invitation cannot be accepted"
    return Problem(409, "invitation-refused", title, f"{error}.")


def _message_refused(error: MessageRefused) -> Problem:
    return Problem(
        422, "message-refused", "This node shares no such thing", f"{error}."
    )


def _connector_fixed(error: ConnectorFixed) -> Problem:
    title = "A system of another kind has that name"
    detail = f"{error}: choose another name. Nodes are linked by invitation."
    return Problem(409, "connector-fixed", title, detail)


def _role_missing(error: RoleMissing) -> Problem:
    title = "The account has none of the roles for this"
    return Problem(403, "role-missing", title, f"One of these is needed: {error}.")


def _not_open(error: NotOpen) -> Problem:
    return Problem(409, "entry-settled", "The entry is not open", f"{error}.")


def _record_taken(error: RecordTaken) -> Problem:
    title = "The record belongs to another correlation"
    return Problem(409, "record-taken", title, f"{error}.")


def _message_unknown(_: MessageUnknown) -> Problem:
    detail = "It was settled a moment ago."
    return Problem(409, "entry-settled", "The entry is not open", detail)


def _lane_busy(_: Exception) -> Problem:
    return Problem(
        409,
        "lane-busy",
        "Somebody is working on this very entry",
        "Ask again in a moment.",
        headers={"Retry-After": "1"},
    )


def _contended(_: Exception) -> Problem:
    return Problem(
        409,
        "contended",
        "Somebody else changed it at the same moment",
        "Nothing was done: read it again, then try again.",
    )


def _replay_ended(error: ReplayEnded) -> Problem:
    return Problem(409, "replay-ended", "The replay has ended", f"It was {error}.")


def _treatment_ended(error: TreatmentEnded) -> Problem:
    title = "The treatment has ended"
    return Problem(409, "treatment-ended", title, f"It was {error}.")


def _replay_too_large(error: ReplayTooLarge) -> Problem:
    return Problem(
        422, "replay-too-large", "One replay takes less", f"{error}.", "/selector"
    )


def _value_refused(error: ValueRefused) -> Problem:
    title = "The field cannot have that value"
    return Problem(422, "value-refused", title, f"{error}.", "/value")


def _system_unknown(error: SystemUnknown) -> Problem:
    return Problem(
        422,
        "system-unknown",
        "A change names a system that is not registered",
        "Register the remote system first, or correct its name.",
        place_of(error.index, "system"),
    )


def _not_of_definition(error: NotOfDefinition) -> Problem:
    title = "The definition does not take part in that table"
    detail = f"{error}. Correct system or table."
    return Problem(422, "not-of-definition", title, detail, error.place)


def _record_unread(error: RecordUnread) -> Problem:
    title = "The record cannot be read"
    detail = f"{error}. Give a change instead."
    return Problem(409, "record-unread", title, detail, "/record")


def _system_disabled(_: RemoteSystemDisabled) -> Problem:
    return Problem(
        409,
        "system-disabled",
        "The remote system is disabled",
        "Validate and activate it first.",
    )


def _change_id_reused(error: ChangeIdReused) -> Problem:
    place = place_of(error.index, "change_id") or "header Idempotency-Key"
    title = "The id was used before for something else"
    return Problem(422, "change-id-reused", title, f"{error}.", place)


def _change_id_repeated(error: ChangeIdRepeated) -> Problem:
    return Problem(
        422,
        "change-id-repeated",
        "One request names the same change twice",
        f"{error.first} and {error.second} have the same system and change_id.",
        error.second,
        extra={"places": [error.first, error.second]},
    )


def _definition_refused(error: DefinitionRefused) -> Problem:
    return Problem(
        422,
        "definition-refused",
        "The definition cannot be used",
        "problems names everything that is wrong, and what to do about it.",
        error.problems[0].place if error.problems else None,
        extra={"problems": [asdict(problem) for problem in error.problems]},
    )


def _nothing_to_publish(_: NothingToPublish) -> Problem:
    title = "There is nothing to publish"
    return Problem(409, "nothing-to-publish", title, "Put a draft first.")


def _revision_unknown(error: RevisionUnknown) -> Problem:
    return Problem(
        409, "revision-unknown", "There is no such revision", f"{error}.", "/revision"
    )


def _role_unknown(error: RoleUnknown) -> Problem:
    return Problem(422, "role-unknown", "No such role", f"{error}.", "/roles")


def _too_many_tokens(_: TooManyTokens) -> Problem:
    return Problem(
        409,
        "too-many-tokens",
        "The account has two live tokens",
        "Revoke one before another is issued.",
    )


def _path_refused(_: DomainPathRefused) -> Problem:
    return Problem(
        422,
        "domain-path-refused",
        "This cannot name a domain",
        "Write lower-case words of a-z, 0-9 and -, joined by '/', ten deep at most.",
    )


def _check_failed(error: CheckFailed) -> Problem:
    title = "The remote system did not pass its check"
    return Problem(409, "check-failed", title, f"{error}")


def _connector_unknown(_: ConnectorUnknown) -> Problem:
    return Problem(
        409,
        "connector-unknown",
        "This version has no such connector",
        "Another version registered the system: run that one, or register it anew.",
    )


def _secret_unusable(_: SecretUnusable) -> Problem:
    return Problem(
        409,
        "secret-unusable",
        "A secret of the system is missing or unusable",
        "Put the system again with a secret: whsec_ and the base64 of 24 to 64 bytes.",
    )


def _keys_unavailable(_: KeyTrouble) -> Problem:
    title = "The node's key is missing, or another one"
    detail = "Nothing was changed. rps doctor says which key it needs."
    return Problem(503, "keys-unavailable", title, detail)


def _kind_fixed(error: SubscriptionKindFixed) -> Problem:
    title = "A subscription of another kind has that name"
    detail = f"{error}: choose another name, or remove it first."
    return Problem(409, "subscription-kind-fixed", title, detail, "/kind")


def _secret_missing(_: SecretMissing) -> Problem:
    title = "The subscription needs a secret"
    detail = "Give the apprise URL of the service as secret."
    return Problem(422, "secret-missing", title, detail, "/secret")


def _channel_unusable(error: ChannelUnusable) -> Problem:
    title = "Nobody can be told this way"
    return Problem(409, "channel-unusable", title, f"{error}.")


def _query_refused(error: QueryRefused) -> Problem:
    title = "The query string asks for something unknown"
    place = f"query {error.parameter}"
    return Problem(400, "query-refused", title, error.detail, place)


def _header_refused(error: HeaderRefused) -> Problem:
    title = "A header holds what it may not hold"
    place = f"header {error.header}"
    return Problem(400, "header-refused", title, error.detail, place)


def _file_taken(_: Exception) -> Problem:
    return Problem(
        409,
        "attachment-busy",
        "Somebody else is handing in this very file",
        "Ask again in a moment.",
        headers={"Retry-After": "2"},
    )


def _file_contradicted(error: BlobContradicted) -> Problem:
    return Problem(
        422,
        "attachment-contradicted",
        "The bytes are not the file they were said to be",
        f"{error}; nothing of it was kept. Send the file again from its first byte.",
    )


def _file_refused(error: FileRefused) -> Problem:
    status, code, title = error.about
    return Problem(
        status, code, title, error.detail, extra=error.extra, headers=error.headers
    )


def _not_covered(error: NotCovered) -> Problem:
    title = "No checkpoint covers this yet"
    detail = f"{error}. POST /v1/audit/checkpoints signs one."
    return Problem(409, "not-covered", title, detail)


def _checkpoint_refused(error: CheckpointRefused) -> Problem:
    title = "The log is not what it was: nothing is signed"
    return Problem(409, "checkpoint-refused", title, f"{error}.")


def _audit_key_missing(error: KeyMissing) -> Problem:
    title = "The key that signs checkpoints is gone"
    return Problem(409, "audit-key-missing", title, f"{error}.")


def _note_unreadable(error: NoteUnreadable) -> Problem:
    title = "The checkpoint cannot be read"
    return Problem(422, "checkpoint-unreadable", title, f"{error}.")


TABLE: Table = {
    NotCovered: _not_covered,
    CheckpointRefused: _checkpoint_refused,
    KeyMissing: _audit_key_missing,
    NoteUnreadable: _note_unreadable,
    NotFound: _not_found,
    NoSuchRoute: _not_found,
    AggregateNotFoundError: _not_found,
    NotAuthenticated: _not_authenticated,
    SignatureRefused: _signature_refused,
    NotTakenNow: _not_taken_now,
    InvitationRefused: _invitation_refused,
    MessageRefused: _message_refused,
    ConnectorFixed: _connector_fixed,
    RoleMissing: _role_missing,
    NotOpen: _not_open,
    RecordTaken: _record_taken,
    MessageUnknown: _message_unknown,
    LaneBusy: _lane_busy,
    LeaseLost: _lane_busy,
    Contended: _contended,
    VersionTaken: _contended,
    ConfigurationMoved: _contended,
    IntegrityError: _contended,
    ReplayEnded: _replay_ended,
    ReplayTooLarge: _replay_too_large,
    TreatmentEnded: _treatment_ended,
    ValueRefused: _value_refused,
    SystemUnknown: _system_unknown,
    NotOfDefinition: _not_of_definition,
    RecordUnread: _record_unread,
    RemoteSystemDisabled: _system_disabled,
    ChangeIdReused: _change_id_reused,
    ChangeIdRepeated: _change_id_repeated,
    DefinitionRefused: _definition_refused,
    NothingToPublish: _nothing_to_publish,
    RevisionUnknown: _revision_unknown,
    RoleUnknown: _role_unknown,
    TooManyTokens: _too_many_tokens,
    DomainPathRefused: _path_refused,
    CheckFailed: _check_failed,
    ConnectorUnknown: _connector_unknown,
    SecretUnusable: _secret_unusable,
    KeyTrouble: _keys_unavailable,
    SubscriptionKindFixed: _kind_fixed,
    SecretMissing: _secret_missing,
    NotSubscribed: _not_found,
    ChannelUnusable: _channel_unusable,
    QueryRefused: _query_refused,
    HeaderRefused: _header_refused,
    BlobTaken: _file_taken,
    BlobContradicted: _file_contradicted,
    FileRefused: _file_refused,
}
