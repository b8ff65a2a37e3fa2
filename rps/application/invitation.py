"""What a node hands to another one, so that the two come to know each other."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import asdict, dataclass

from rps.connectors.node import PROTOCOL
from rps.connectors.signature import Signer

_PREFIX = "rpsnode_"


class InvitationRefused(ValueError):
    """The invitation cannot be used; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What one side hands to the other: where to answer, with which key to sign, and
    what to call us."""

    url: str
    key: str
    name: str

    def token(self) -> str:
        """One word. Its last characters tell a token that was copied by halves."""
        said = json.dumps(asdict(self) | {"v": PROTOCOL}, sort_keys=True).encode()
        checked = said + zlib.crc32(said).to_bytes(4, "big")
        return _PREFIX + urlsafe_b64encode(checked).decode().rstrip("=")

    @classmethod
    def of(cls, token: str) -> Invitation:
        """Raises InvitationRefused."""
        encoded = "".join(token.split()).removeprefix(_PREFIX)
        try:
            checked = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            said, check = checked[:-4], checked[-4:]
            told = json.loads(said)
            protocol = told.pop("v")
            made = cls(**told)
            Signer([made.key])
        except (NotBase64, ValueError, KeyError, TypeError, AttributeError):
            said, check, protocol = b"", b"", 0
        if zlib.crc32(said).to_bytes(4, "big") != check or not said:
            raise InvitationRefused(
                "this is no invitation, or not all of it: copy the whole line that"
                " `rps system invite` printed"
            )
        if protocol != PROTOCOL:
            raise InvitationRefused(
                f"the invitation is of protocol {protocol}, this node speaks"
                f" {PROTOCOL}: bring the older of the two up to date"
            )
        return made
