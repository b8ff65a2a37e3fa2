"""An instance within this process, and a client that speaks as its users."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from instance_process import CONTROL, basic

from rps.sandbox.servicenow.app import create_app
from rps.sandbox.servicenow.clock import Clock
from rps.sandbox.servicenow.instance import Instance

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

    from rps.sandbox.servicenow.settings import InstanceSettings

API = "/api/now"
START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


class Within:
    """`time` is what its clock shows."""

    def __init__(self, settings: InstanceSettings) -> None:
        self.time = START
        self.instance = Instance(settings, Clock(lambda: self.time))
        self.app = create_app(self.instance)
        self.files = settings.database.with_suffix(".files")
        self._client = self.app.test_client()

    def pass_seconds(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def ask(
        self, method: str, path: str, user: str = "admin", **more: Any
    ) -> TestResponse:
        headers = {
            "Authorization": basic(user),
            "Accept": "application/json",
            **more.pop("headers", {}),
        }
        return self._client.open(path, method=method, headers=headers, **more)

    def get(self, path: str, user: str = "admin", **query: Any) -> Any:
        """The `result` of a read below `/api/now`."""
        answer = self.ask("GET", f"{API}/{path}", user, query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json["result"]

    def found(self, table: str, query: str, user: str = "admin") -> list[str]:
        """Numbers or names of the records the query finds, in their order."""
        rows = self.get(f"table/{table}", user, sysparm_query=query)
        return [row.get("number") or row.get("name") for row in rows]

    def add(self, table: str, user: str = "admin", /, **fields: Any) -> dict[str, Any]:
        answer = self.ask("POST", f"{API}/table/{table}", user, json=fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json["result"])

    def set(
        self, table: str, sys_id: str, user: str = "admin", /, **fields: Any
    ) -> dict[str, Any]:
        answer = self.ask("PATCH", f"{API}/table/{table}/{sys_id}", user, json=fields)
        assert answer.status_code == 200, answer.text
        return dict(answer.json["result"])

    def id_of(self, table: str, name: str) -> str:
        column = {"sys_user": "user_name"}.get(table, "name")
        (row,) = self.get(f"table/{table}", **{column: name})
        return str(row["sys_id"])

    def control(self, method: str, path: str, document: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {CONTROL}"}
        answer = self._client.open(
            f"/_sandbox{path}", method=method, headers=headers, json=document
        )
        assert answer.status_code == 200, answer.text
        return answer.json

    def close(self) -> None:
        self.instance.database.close()
