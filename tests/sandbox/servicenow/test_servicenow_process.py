"""An instance as a process: TLS, sudden death, large files, misbehaviour, speed."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from instance_process import InstanceProcess

if TYPE_CHECKING:
    from pathlib import Path

URL = "/api/now/table/incident"
MEGABYTE = 1024 * 1024


def numbers(instance: InstanceProcess, subject: str) -> list[str]:
    rows = instance.ask("GET", f"{URL}?short_description={subject}").json()["result"]
    return [row["number"] for row in rows]


def test_its_certificate_is_the_one_it_wrote(running: InstanceProcess) -> None:
    assert running.url.startswith("https://127.0.0.1:")
    assert running.ask("GET", URL).status == 200
    with pytest.raises(urllib3.exceptions.SSLError):
        urllib3.PoolManager(retries=False).request("GET", running.url)
    assert (running.folder / "snow.key").stat().st_mode & 0o077 == 0
    code, said = running.terminate()
    assert code == 0
    assert "Traceback" not in said


def test_a_client_that_never_finishes_its_handshake_holds_up_nobody(
    instance: InstanceProcess,
) -> None:
    host, port = instance.url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port))):
        assert instance.ask("GET", URL).status == 200


def test_http_is_served_where_asked_for(tmp_path: Path) -> None:
    process = InstanceProcess(tmp_path, "--http")
    try:
        assert process.url.startswith("http://")
        assert process.ask("GET", URL).status == 200
        assert not process.pem.exists()
    finally:
        process.kill()


def test_a_certificate_of_ones_own_is_served(
    running: InstanceProcess, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    pair = ("--cert", str(running.pem), "--key", str(running.folder / "snow.key"))
    process = InstanceProcess(other, *pair)
    try:
        pool = urllib3.PoolManager(retries=False, ca_certs=str(running.pem))
        assert pool.request("GET", f"{process.url}{URL}").status == 401
        assert not process.pem.exists()
    finally:
        process.kill()


def test_what_was_answered_survives_kill_9(running: InstanceProcess) -> None:
    made = running.ask("POST", URL, json={"comments": "hello"}).json()["result"]
    token = {"grant_type": "client_credentials", "client_id": "0b5d9f4c"}
    running.kill()
    again = InstanceProcess(running.folder)
    try:
        path = f"{URL}/{made['sys_id']}"
        assert again.ask("GET", path).json()["result"] == {
            **made,
            "opened_by": {
                "value": made["opened_by"]["value"],
                "link": made["opened_by"]["link"].replace(running.url, again.url),
            },
        }
        assert again.ask("POST", URL, json={}).json()["result"]["number"] == (
            "INC0010002"
        )
        refused = again.pool.request(
            "POST", f"{again.url}/oauth_token.do", fields=token, encode_multipart=False
        )
        assert refused.status == 401
    finally:
        again.kill()


def test_a_large_file_goes_through_little_memory(instance: InstanceProcess) -> None:
    made = instance.ask("POST", URL, json={}).json()["result"]
    before = instance.memory_peak()
    content = bytes(range(256)) * (64 * MEGABYTE // 256)
    path = (
        "/api/now/attachment/file?table_name=incident"
        f"&table_sys_id={made['sys_id']}&file_name=large"
    )
    headers = {"Content-Type": "application/octet-stream"}
    answer = instance.ask("POST", path, body=content, headers=headers)
    about = answer.json()["result"]
    assert about["hash"] == sha256(content).hexdigest()
    read = instance.ask(
        "GET", f"/api/now/attachment/{about['sys_id']}/file", preload_content=False
    )
    got = sha256()
    for piece in read.stream(MEGABYTE):
        got.update(piece)
    assert got.hexdigest() == about["hash"]
    assert instance.memory_peak() - before < 16 * MEGABYTE


def test_numbers_are_never_given_twice(instance: InstanceProcess) -> None:
    made: list[str] = []

    def create() -> None:
        for _ in range(10):
            answer = instance.ask("POST", URL, json={"short_description": "racing"})
            made.append(answer.json()["result"]["number"])

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 80


def go_wrong(instance: InstanceProcess, **fault: Any) -> None:
    instance.control("PUT", "/faults", {"faults": [fault]})


@pytest.mark.parametrize(("after", "count"), [(False, 0), (True, 1)])
def test_an_answer_is_lost_before_or_after_the_write(
    instance: InstanceProcess, after: bool, count: int
) -> None:
    go_wrong(instance, kind="lost", method="POST", after=after)
    subject = f"lost-{after}"
    with pytest.raises(urllib3.exceptions.ProtocolError):
        instance.ask("POST", URL, json={"short_description": subject})
    assert len(numbers(instance, subject)) == count


@pytest.mark.parametrize("path", [URL, "/api/now/attachment"])
def test_a_connection_is_cut_within_the_answer(
    instance: InstanceProcess, path: str
) -> None:
    go_wrong(instance, kind="cut", path=path)
    with pytest.raises(urllib3.exceptions.ProtocolError):
        instance.ask("GET", path)
    assert instance.ask("GET", path).status == 200


def test_a_download_is_cut_within(instance: InstanceProcess) -> None:
    made = instance.ask("POST", URL, json={}).json()["result"]
    path = (
        "/api/now/attachment/file?table_name=incident"
        f"&table_sys_id={made['sys_id']}&file_name=cut"
    )
    headers = {"Content-Type": "text/plain"}
    answer = instance.ask("POST", path, body=b"x" * MEGABYTE, headers=headers)
    go_wrong(instance, kind="cut", path="/file")
    sys_id = answer.json()["result"]["sys_id"]
    with pytest.raises(urllib3.exceptions.ProtocolError) as cut:
        instance.ask("GET", f"/api/now/attachment/{sys_id}/file")
    assert f"{MEGABYTE // 2} bytes read" in str(cut.value)


@pytest.mark.parametrize(("after", "count"), [(False, 0), (True, 1)])
def test_an_error_is_answered_before_or_after_the_write(
    instance: InstanceProcess, after: bool, count: int
) -> None:
    go_wrong(
        instance, kind="status", status=502, retry_after=7, method="POST", after=after
    )
    subject = f"failed-{after}"
    answer = instance.ask("POST", URL, json={"short_description": subject})
    assert (answer.status, answer.headers["Retry-After"]) == (502, "7")
    assert answer.json()["status"] == "failure"
    assert len(numbers(instance, subject)) == count


def test_answers_that_are_not_what_they_seem(instance: InstanceProcess) -> None:
    instance.ask("POST", URL, json={})
    go_wrong(instance, kind="html")
    answer = instance.ask("GET", URL)
    assert answer.status == 200
    assert answer.data.startswith(b"<!DOCTYPE html>")
    go_wrong(instance, kind="truncated")
    answer = instance.ask("GET", URL)
    assert answer.status == 200
    with pytest.raises(ValueError, match=r".+"):
        answer.json()
    go_wrong(instance, kind="error-body")
    answer = instance.ask("GET", URL)
    assert answer.status == 200
    assert answer.json()["error"]["message"].startswith("Transaction cancelled")
    go_wrong(instance, kind="empty-page")
    answer = instance.ask("GET", URL)
    assert answer.json() == {"result": []}
    assert int(answer.headers["X-Total-Count"]) > 0


def test_faults_come_as_often_and_where_they_are_asked_for(
    instance: InstanceProcess,
) -> None:
    go_wrong(instance, kind="status", times=2, skip=1, method="GET", path="incident?x")
    paths = [URL, *[f"{URL}?x=1"] * 4]
    statuses = [instance.ask("GET", path).status for path in paths]
    assert statuses == [200, 200, 503, 503, 200]


def test_a_slow_answer_takes_as_long_as_was_asked_for(
    instance: InstanceProcess,
) -> None:
    go_wrong(instance, kind="slow", seconds=0.3)
    began = time.monotonic()
    assert instance.ask("GET", URL).status == 200
    assert time.monotonic() - began >= 0.3


def test_its_clock_may_be_wrong(instance: InstanceProcess) -> None:
    instance.control("PATCH", "/behaviour", {"skew_seconds": -3600})
    answer = instance.ask("POST", URL, json={})
    instance.control("PATCH", "/behaviour", {"skew_seconds": 0})
    said = parsedate_to_datetime(answer.headers["Date"])
    assert 3500 < time.time() - said.timestamp() < 3700
    stamp = said.strftime("%Y-%m-%d %H:%M:")
    assert answer.json()["result"]["sys_created_on"].startswith(stamp)


@pytest.mark.parametrize(
    "fault", [{"kind": "bogus"}, {"kind": "slow", "seconds": 1e9}, {}, {"kind": 1}]
)
def test_unknown_faults_are_refused(
    instance: InstanceProcess, fault: dict[str, Any]
) -> None:
    headers = {"Authorization": "Bearer a control token"}
    document = {"faults": [fault]}
    answer = instance.ask("PUT", "/_sandbox/faults", headers=headers, json=document)
    assert answer.status == 400


def test_wrong_settings_are_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "rps", "sandbox", "servicenow", "x", "--password"),
            *("x", "--database", str(tmp_path / "x")),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "password: give at least 4 characters" in done.stderr
