"""Files of the ticket sandbox: its users attach them, rps pulls and brings them."""

from __future__ import annotations

import hashlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from sandbox_neighbours import (
    SECRET,
    Client,
    Listener,
    Node,
    SandboxProcess,
    message,
    signed,
)

from rps.sandbox.files import Contradicted, Files
from rps.sandbox.server import SandboxSettings
from rps.sandbox.tickets import TicketSystem, create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(BODY).hexdigest()
FILE = {"id": "acme:1", "name": "shot.png", "size": len(BODY), "sha256": SHA256}


def created(client: Client) -> str:
    made = client.post("/records/incident", json={"fields": {"state": "new"}})
    return str(made.headers["Location"])


def attached(client: Client, path: str, body: bytes = BODY, **query: str) -> Any:
    answer = client.post(
        f"{path}/attachments",
        data=body,
        query_string={"name": "shot.png", "type": "image/png", **query},
    )
    assert answer.status_code == 201, answer.text
    return answer.json


def test_a_user_attaches_reads_replaces_and_removes_a_file(client: Client) -> None:
    path = created(client)
    shown = attached(client, path, user="ann")
    (file,) = shown["attachments"]
    assert (shown["revision"], file["sha256"], file["size"]) == (2, SHA256, len(BODY))
    here = f"{path}/attachments/{file['id']}"
    given = client.get(here)
    assert given.data == BODY
    assert given.headers["Content-Disposition"].startswith("attachment")
    assert given.mimetype == "application/octet-stream"
    client.open(here, method="PUT", data=b"new", query_string={"name": "shot.png"})
    (file,) = client.get(path).json["attachments"]
    assert (file["version"], file["size"]) == (2, 3)
    client.delete(here)
    assert client.get(path).json["attachments"] == []
    assert client.get(here).status_code == 404


def test_files_beside_a_database_without_a_folder_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rps sandbox acme` has acme.sqlite; its files were looked for elsewhere."""
    monkeypatch.chdir(tmp_path)
    client = create_app(SandboxSettings("acme", Path("acme.sqlite"), (SECRET,)))
    path = created(asked := client.test_client())
    (file,) = attached(asked, path)["attachments"]
    assert asked.get(f"{path}/attachments/{file['id']}").data == BODY


def test_the_page_shows_files_and_takes_them(client: Client) -> None:
    path = created(client)
    page = path.replace("/records/", "/tickets/")
    form = {"file": (io.BytesIO(BODY), "Grüße <b>.png"), "user": "ann"}
    assert client.post(f"{page}/attachments", data=form).status_code == 303
    shown = client.get(page).text
    assert "Grüße &lt;b&gt;.png" in shown
    assert "1.3 MB" in shown
    (file,) = client.get(path).json["attachments"]
    client.post(f"{page}/attachments/{file['id']}/deletion", data={"user": "ann"})
    assert client.get(path).json["attachments"] == []


def test_another_site_attaches_nothing(client: Client) -> None:
    path = created(client)
    answer = client.post(
        f"{path}/attachments",
        data=b"x",
        query_string={"name": "x"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403


def test_a_deleted_or_unknown_ticket_takes_no_file(client: Client) -> None:
    path = created(client)
    client.delete(path)
    for where, status in ((path, 410), ("/records/incident/INC0000009", 404)):
        answer = client.post(
            f"{where}/attachments", data=b"x", query_string={"name": "x"}
        )
        assert answer.status_code == status


def test_rps_pulls_a_file_by_its_hash_and_signed(client: Client) -> None:
    attached(client, created(client))
    path = f"/rps/attachments/{SHA256}"
    whole = client.get(path, headers=signed("file_1"))
    assert whole.data == BODY
    rest = client.get(path, headers={**signed("file_2"), "Range": "bytes=1000-"})
    assert (rest.status_code, rest.data) == (206, BODY[1000:])
    assert client.get(path).status_code == 401
    for name in ("0" * 64, "..%2Fx", "x"):
        answer = client.get(f"/rps/attachments/{name}", headers=signed("file_3"))
        assert answer.status_code == 404


def test_what_users_do_with_files_is_reported(
    tmp_path: Path, listener: Listener
) -> None:
    sandbox = SandboxProcess(tmp_path / "globex.sqlite", listener.url)
    try:
        path = sandbox.url + "/records/incident"
        made = urllib3.request("POST", path, json={"fields": {}}).json()
        here = f"{path}/{made['id']}/attachments"
        asked = f"{here}?name=shot.png&type=image/png"
        file = urllib3.request("POST", asked, body=BODY).json()["attachments"][0]
        urllib3.request("DELETE", f"{here}/{file['id']}")
        listener.wait_for(lambda it: len(it.heard) == 3)
        offered, gone = (each["attachments"] for each in listener.heard[1:])
        own = {"id": file["id"], "type": "image/png"}
        assert offered == [{**FILE, **own}]
        assert gone == [{"id": file["id"], "deleted": True}]
        assert "attachments" not in listener.heard[0]
    finally:
        sandbox.kill()


# --- what a message brings ----------------------------------------------------------


class Giver:
    """A node's files; `cut`: after so many bytes the connection ends, once."""

    def __init__(self) -> None:
        self.files = {SHA256: BODY}
        self.asked: list[tuple[str, str]] = []
        self.cut = 0
        self.changed = threading.Condition()
        giver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                giver.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,)).start()

    def answer(self, handler: Any) -> None:
        digest = handler.path.rpartition("/")[2]
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        with self.changed:
            self.asked.append((handler.headers["Authorization"], digest[:4]))
            self.changed.notify_all()
        content = self.files.get(digest, b"")
        handler.send_response(404 if not content else 206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start * bool(content)))
        handler.end_headers()
        end = len(content)
        if self.cut:
            end, self.cut = start + self.cut, 0
            handler.close_connection = True
        handler.wfile.write(content[start:end])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def giver() -> Iterator[Giver]:
    made = Giver()
    yield made
    made.close()


@pytest.fixture
def system(tmp_path: Path, giver: Giver) -> Iterator[TicketSystem]:
    made = TicketSystem.open(
        SandboxSettings(
            name="globex",
            database=tmp_path / "globex.sqlite",
            secrets=(SECRET,),
            report_url=giver.url,
            report_token="token",
            system="globex",
        )
    )
    puller = threading.Thread(target=made.puller.run)
    puller.start()
    yield made
    made.puller.stop()
    puller.join(10)
    made.database.close()


def brought(system: TicketSystem, *files: Any, message_id: str = "m1") -> Any:
    from rps.sandbox.shapes import MessageSchema  # noqa: PLC0415

    document = message(attachments=[{**FILE, **each} for each in files])
    system.inbound.apply(message_id, MessageSchema().load(document))
    return lambda: system.edits.shown("incident", "INC0000001")["attachments"]


def until(giver: Giver, happened: Any) -> None:
    with giver.changed:
        assert giver.changed.wait_for(happened, timeout=20)


def wait_here(shown: Any) -> None:
    for _ in range(400):
        if all(file["state"] == "here" for file in shown()):
            return
        threading.Event().wait(0.05)
    raise AssertionError(shown())


def test_a_file_that_a_message_brings_is_pulled_from_the_node(
    system: TicketSystem, giver: Giver
) -> None:
    shown = brought(system, {})
    wait_here(shown)
    assert giver.asked == [("Bearer token", SHA256[:4])]
    assert system.files.path(SHA256).read_bytes() == BODY


def test_after_a_cut_it_goes_on_where_it_was(
    system: TicketSystem, giver: Giver
) -> None:
    giver.cut = 600_000
    shown = brought(system, {})
    wait_here(shown)
    assert len(giver.asked) == 2
    assert system.files.path(SHA256).read_bytes() == BODY


def test_other_bytes_are_not_taken(system: TicketSystem, giver: Giver) -> None:
    giver.files[SHA256] = BODY[::-1]
    shown = brought(system, {})
    until(giver, lambda: len(giver.asked) >= 2)
    assert shown()[0]["state"] == "coming"
    assert "SHA-256" in shown()[0]["reason"]
    assert not system.files.has(SHA256)
    giver.files[SHA256] = BODY
    wait_here(shown)


def test_a_message_that_comes_twice_brings_a_file_once(
    system: TicketSystem, giver: Giver
) -> None:
    shown = brought(system, {})
    brought(system, {})
    brought(system, {}, message_id="m2")
    wait_here(shown)
    assert len(shown()) == 1
    assert shown()[0]["version"] == 1
    brought(system, {"deleted": True}, message_id="m3")
    assert shown() == []
    assert len(giver.asked) == 1


def test_a_message_with_a_file_that_is_none_is_refused(node: Node) -> None:
    for wrong in ({"sha256": "x"}, {"size": -1}, {"name": ""}):
        document = message(attachments=[{**FILE, **wrong}])
        assert node.write("m1", document).status_code == 422


def test_a_file_is_put_in_its_place_only_when_it_is_right(tmp_path: Path) -> None:
    files = Files(tmp_path / "files")
    files.go_on(SHA256, [b"other"], 0)
    with pytest.raises(Contradicted):
        files.finish(SHA256)
    assert files.begun(SHA256) == 0
    files.go_on(SHA256, [BODY[:10]], 0)
    files.go_on(SHA256, [BODY[5:]], 5)
    files.finish(SHA256)
    assert files.path(SHA256).read_bytes() == BODY
