"""Notices as e-mail: plain text, through the operator's SMTP server."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING

from rps.connectors.announcing import Again, Announced, Announcement, Never, Told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rps.config import Smtp

SECONDS = 15.0
"""For each answer of the server."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_DETAIL_CHARACTERS = 300
_PERMANENT = 500


class EmailChannel:
    """`ca_file` (PEM) adds an operator's own authorities to the public ones."""

    def __init__(
        self, smtp: Smtp, addresses: Sequence[str], *, ca_file: Path | None = None
    ) -> None:
        self._smtp = smtp
        self._addresses = list(addresses)
        self._trust = ssl.create_default_context()
        if ca_file is not None:
            self._trust.load_verify_locations(cafile=ca_file)

    def announce(self, said: Announcement) -> Announced:
        mail = written(said, self._smtp.sender, self._addresses)
        try:
            with self._connected() as server:
                refused = server.send_message(mail, self._smtp.sender, self._addresses)
        except smtplib.SMTPRecipientsRefused as error:
            return _refused(error.recipients)
        except smtplib.SMTPResponseException as error:
            return Again(f"the mail server said {error.smtp_code}: {_said(error)}")
        except (smtplib.SMTPException, OSError, ValueError) as error:
            return Again(f"the mail server: {_plain(error)}")
        if refused:
            return Told(f"refused for {', '.join(sorted(refused))}")
        return Told("taken by the mail server")

    def _connected(self) -> smtplib.SMTP:
        smtp, name = self._smtp, socket.gethostname()
        if smtp.tls == "implicit":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                smtp.host, smtp.port, name, timeout=SECONDS, context=self._trust
            )
        else:
            server = smtplib.SMTP(smtp.host, smtp.port, name, timeout=SECONDS)
        try:
            if smtp.tls == "starttls":
                server.starttls(context=self._trust)
            if smtp.user:
                server.login(smtp.user, smtp.password)
        except BaseException:
            server.close()
            raise
        return server


def written(said: Announcement, sender: str, addresses: Sequence[str]) -> EmailMessage:
    """Whoever gets it twice sees so by its Message-ID."""
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = ", ".join(addresses)
    mail["Subject"] = said.subject
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{said.key}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(said.text)
    return mail


def _refused(recipients: dict[str, tuple[int, bytes]]) -> Announced:
    names = ", ".join(sorted(recipients))
    detail = f"the mail server refused {names}"
    if all(code >= _PERMANENT for code, _ in recipients.values()):
        return Never(detail)
    return Again(detail)


def _said(error: smtplib.SMTPResponseException) -> str:
    # What a server says to a login may repeat it.
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return "it refused user and password"
    text = error.smtp_error
    return _plain(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)


def _plain(said: object) -> str:
    return _CONTROLS.sub(" ", str(said)).strip()[:_DETAIL_CHARACTERS]
