"""A real SMTP server on loopback that takes mail, or refuses it as it is told."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import threading
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import socket
    import ssl
    from email.message import EmailMessage


class SmtpServer:
    """`tls` offers STARTTLS, or is spoken from the start where `implicit`. `refuses`
    maps a command (or a command and address) to the reply it gets instead; `accepts`
    is user and password, and then nobody else is let in."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        refuses: dict[str, str] | None = None,
        accepts: tuple[str, str] | None = None,
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.secured: list[bool] = []
        self.tls, self.implicit = tls, implicit
        self.refuses = refuses or {}
        self.accepts = accepts
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session)
        self._server.daemon_threads = True
        self._server.smtp = self  # type: ignore[attr-defined]
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def mail(self) -> EmailMessage:
        [mail] = self.mails
        return mail


class _Session(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self._smtp: SmtpServer = self.server.smtp  # type: ignore[attr-defined]
            self._line: socket.socket = self.request
            self._is_secured = False
            if self._smtp.implicit:
                self._secure()
            self._read = self._line.makefile("rb")
            self._known = self._smtp.accepts is None
            self._sender, self._to = "", []
            self._say("220 ready")
            while (line := self._read.readline()) and self._obey(line.decode().strip()):
                pass

    def _obey(self, line: str) -> bool:
        command, _, rest = line.partition(" ")
        command = command.upper()
        for key in (line.upper(), command):
            if key in self._smtp.refuses:
                self._say(self._smtp.refuses[key])
                return True
        return bool(getattr(self, f"_{command.lower()}")(rest) is not False)

    def _ehlo(self, _: str) -> None:
        offers = ["SIZE 1000000", "8BITMIME"]
        if self._smtp.tls is not None and not self._is_secured:
            offers.append("STARTTLS")
        if self._smtp.accepts is not None:
            offers.append("AUTH PLAIN")
        lines = ["loopback", *offers]
        for each in lines[:-1]:
            self._say(f"250-{each}")
        self._say(f"250 {lines[-1]}")

    def _starttls(self, _: str) -> None:
        self._say("220 go ahead")
        self._secure()
        self._read = self._line.makefile("rb")

    def _auth(self, said: str) -> None:
        _, user, password = base64.b64decode(said.split()[1]).decode().split("\0")
        self._known = (user, password) == self._smtp.accepts
        # Servers may repeat what they were told.
        self._say("235 ok" if self._known else f"535 no such login: {said}")

    def _mail(self, said: str) -> None:
        self._sender = said[5:].split(">", maxsplit=1)[0].strip("<")
        self._to: list[str] = []
        self._say("250 ok" if self._known else "530 who are you")

    def _rcpt(self, said: str) -> None:
        self._to.append(said[3:].strip("<>"))
        self._say("250 ok")

    def _data(self, _: str) -> None:
        self._say("354 go ahead")
        body = b""
        while (line := self._read.readline()) not in (b".\r\n", b""):
            body += line.removeprefix(b".") if line.startswith(b"..") else line
        mail: Any = message_from_bytes(body, policy=default)
        self._smtp.envelopes.append((self._sender, self._to))
        self._smtp.secured.append(self._is_secured)
        self._smtp.mails.append(mail)
        self._say("250 taken")

    def _rset(self, _: str) -> None:
        self._say("250 ok")

    def _quit(self, _: str) -> bool:
        self._say("221 bye")
        return False

    def _secure(self) -> None:
        assert self._smtp.tls is not None
        self._line = self._smtp.tls.wrap_socket(self._line, server_side=True)
        self._is_secured = True

    def _say(self, text: str) -> None:
        self._line.sendall(f"{text}\r\n".encode())
