"""What people do in the ticket sandbox, which speaks `push`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
import urllib3


class Desk:
    """`table` of the sandbox at `url`, as its own users reach it."""

    def __init__(self, name: str, url: str, table: str) -> None:
        self.name, self.url, self.table = name, url, table
        self._pool = urllib3.PoolManager(timeout=10.0, retries=False)

    def answers(self) -> bool:
        """Whether the sandbox is there."""
        try:
            return self._pool.request("GET", f"{self.url}/outbox").status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def create(self, user: str, **values: Any) -> str:
        """A new ticket; its number."""
        body = {"fields": values, "user": user}
        return str(self._ask("POST", f"/records/{self.table}", body)["id"])

    def edit(self, ticket: str, user: str, **values: Any) -> None:
        path = f"/records/{self.table}/{ticket}"
        self._ask("PATCH", path, {"fields": values, "user": user})

    def comment(self, ticket: str, user: str, text: str) -> None:
        path = f"/records/{self.table}/{ticket}/comments"
        self._ask("POST", path, {"text": text, "user": user})

    def attach(
        self, ticket: str, user: str, name: str, kind: str, content: bytes
    ) -> None:
        query = urlencode({"user": user, "name": name, "type": kind})
        path = f"/records/{self.table}/{ticket}/attachments?{query}"
        self._send("POST", path, content, "application/octet-stream")

    def files(self, ticket: str) -> list[dict[str, Any]]:
        """The ticket's attachments."""
        found = self._ask("GET", f"/records/{self.table}/{ticket}")
        return [each for each in found["attachments"] if not each["deleted"]]

    def ticket(self, ticket: str) -> dict[str, Any]:
        """The ticket's fields."""
        found = self._ask("GET", f"/records/{self.table}/{ticket}")
        return dict(found["fields"])

    def tickets(self) -> list[str]:
        """The numbers of all tickets."""
        found: list[dict[str, Any]] = self._ask("GET", f"/records/{self.table}")
        return [each["id"] for each in found]

    def comments(self, ticket: str) -> list[str]:
        """The texts of a ticket's comments."""
        found = self._ask("GET", f"/records/{self.table}/{ticket}")
        return [each["text"] for each in found["comments"]]

    def applied(self, after: int = 0) -> list[dict[str, Any]]:
        """Messages from rps that took effect here, in order, past number `after`."""
        found: list[dict[str, Any]] = self._ask("GET", f"/log?after={after}")
        return found

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        sent = None if body is None else orjson.dumps(body)
        return self._send(method, path, sent, "application/json")

    def _send(self, method: str, path: str, body: bytes | None, kind: str) -> Any:
        headers = {"Content-Type": kind}
        answer = self._pool.request(
            method, f"{self.url}{path}", body=body, headers=headers
        )
        assert answer.status < 400, f"{self.name}: {answer.status}: {answer.data!r}"
        return orjson.loads(answer.data)
