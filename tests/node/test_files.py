"""Files through real processes: in little memory, and past a kill in the middle."""

from __future__ import annotations

import hashlib
import os
import socket
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from processes import HTTP, Node
from test_kill import DEFINITION

if TYPE_CHECKING:
    from collections.abc import Iterator

PIECE = bytes(range(256)) * 256
MEGABYTE = 1024 * 1024
LARGE = 64 * MEGABYTE
GROWTH_MAX = 24 * MEGABYTE


def document() -> dict[str, Any]:
    made: dict[str, Any] = deepcopy(DEFINITION)
    made["attachments"] = {"journal": "comments", "size_max": "1 GB"}
    made["journals"] = {"comments": {"visibility": "public"}}
    for member in made["members"].values():
        member["journals"] = {"comments": "comments"}
    return made


@pytest.fixture
def node(database: str, tmp_path: Path) -> Iterator[Node]:
    made = Node(database, tmp_path, document())
    made.zenith_url = f"http://127.0.0.1:{made.zenith_port}"  # type: ignore[attr-defined]
    made.post([change("R0")])
    made.wait_until("SELECT count(*) = 1 FROM outbound_queue WHERE status='processed'")
    yield made
    made.close()


def change(record: str, **more: Any) -> dict[str, Any]:
    return {
        "system": "acme",
        "table": "incident",
        "record_id": record,
        "operation": "update",
        "change_id": os.urandom(8).hex(),
        "fields": {"short_description": record},
        **more,
    }


def pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // len(PIECE)):
        yield PIECE


def digest_of(size: int) -> str:
    made = hashlib.sha256()
    for piece in pieces(size):
        made.update(piece)
    return made.hexdigest()


def attached(node: Any, size: int) -> dict[str, Any]:
    """A file that the system has which acme is here; as a change offers it."""
    ticket = HTTP.request("GET", f"{node.zenith_url}/records/case").json()[0]
    answer = urllib3.request(
        "POST",
        f"{node.zenith_url}/records/case/{ticket['id']}/attachments?name=large.bin",
        body=pieces(size),
        headers={"Content-Length": str(size)},
        timeout=60,
    )
    file = answer.json()["attachments"][-1]
    assert file["sha256"] == digest_of(size)
    return {key: file[key] for key in ("id", "name", "size", "sha256")}


def peaks(node: Any, name: str) -> int:
    """The most memory that a process of the node and its children ever took, added."""
    group = os.getpgid(node.processes[name]._process.pid)
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == group:
                (line,) = [x for x in status.read_text().splitlines() if "VmHWM" in x]
                total += int(line.split()[1]) * 1024
        except (OSError, ValueError):
            continue
    return total


def pulled(node: Node, file: dict[str, Any]) -> str:
    """The hash of what the node gives, and how much it was."""
    answer = HTTP.request(
        "GET",
        f"http://127.0.0.1:{node.port}/v1/attachments/{file['sha256']}",
        headers={"Authorization": f"Bearer {node.token}"},
        preload_content=False,
    )
    assert answer.status == 200
    made = hashlib.sha256()
    for piece in answer.stream(65536):
        made.update(piece)
    answer.release_conn()
    return made.hexdigest()


def test_a_large_file_passes_in_little_memory(node: Node) -> None:
    small = attached(node, MEGABYTE)
    node.post([change("R1", attachments=[small])])
    complete = "SELECT count(*) = {} FROM blobs WHERE complete"
    node.wait_until(complete.format(1))
    assert pulled(node, small) == small["sha256"]
    before = {name: peaks(node, name) for name in ("fetcher", "api")}

    large = attached(node, LARGE)
    node.post([change("R2", attachments=[large])])
    node.wait_until(complete.format(2))
    assert pulled(node, large) == large["sha256"]

    for name, peak in before.items():
        assert peaks(node, name) - peak < GROWTH_MAX, name
    node.wait_until(
        "SELECT count(*) = 3 FROM outbound_queue WHERE status = 'processed'"
    )


def test_a_fetcher_killed_in_the_middle_loses_nothing(node: Node) -> None:
    file = attached(node, LARGE)
    node.post([change("R1", attachments=[file])])
    node.wait_until("SELECT count(*) = 1 FROM blobs WHERE stored > 3000000")
    fetcher = node.processes["fetcher"]
    fetcher.kill()
    ((stored, complete),) = node.ask("SELECT stored, complete FROM blobs")
    node.ask("UPDATE blobs SET leased_until = now() RETURNING 1")  # time passes
    fetcher.revive()
    node.wait_until("SELECT bool_and(complete) FROM blobs")
    assert pulled(node, file) == file["sha256"]
    assert complete or 0 < stored < LARGE
    starts = node.ask("SELECT start FROM blob_chunks ORDER BY start")
    assert [start for (start,) in starts] == list(range(0, LARGE, MEGABYTE))
    node.wait_until(
        "SELECT count(*) = 2 FROM outbound_queue WHERE status = 'processed'"
    )


def put(node: Node, digest: str, body: Any, length: int, said: str = "") -> Any:
    headers = {
        "Authorization": f"Bearer {node.token}",
        "Content-Length": str(length),
        "Content-Type": "application/octet-stream",
    }
    if said:
        headers["Content-Range"] = said
    url = f"http://127.0.0.1:{node.port}/v1/attachments/{digest}"
    return urllib3.request("PUT", url, body=body, headers=headers, timeout=60)


def test_a_large_file_is_handed_in_past_a_cut_and_in_little_memory(node: Node) -> None:
    digest = digest_of(LARGE)
    small = put(node, digest_of(MEGABYTE), pieces(MEGABYTE), MEGABYTE)
    assert small.status == 201, small.data
    before = peaks(node, "api")
    with socket.create_connection(("127.0.0.1", node.port)) as client:
        head = (
            f"PUT /v1/attachments/{digest} HTTP/1.1\r\nHost: node\r\n"
            f"Authorization: Bearer {node.token}\r\nContent-Length: {LARGE}\r\n\r\n"
        )
        client.sendall(head.encode())
        for piece in pieces(LARGE // 2):
            client.sendall(piece)
    held = f"sha256 = '{digest}' AND holder IS NULL"
    node.wait_until(f"SELECT count(*) = 1 FROM blobs WHERE {held}")
    asked = put(node, digest, b"", 0, f"bytes */{LARGE}")
    stored = asked.json()["stored"]
    assert asked.status == 202
    assert 0 < stored <= LARGE // 2

    rest = LARGE - stored
    body = b"".join(pieces(LARGE))[stored:]
    done = put(node, digest, body, rest, f"bytes {stored}-{LARGE - 1}/{LARGE}")
    assert (done.status, done.json()["complete"]) == (201, True)
    assert pulled(node, {"sha256": digest}) == digest
    assert peaks(node, "api") - before < GROWTH_MAX
