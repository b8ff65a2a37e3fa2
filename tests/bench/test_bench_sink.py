"""The judge itself: what it accepts, what it refuses, and what it says of it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import orjson
import pytest
import requests

from bench.sink import SinkClient, answers, compiled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler"
)


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SinkClient]:
    folder: Path = tmp_path_factory.mktemp("sink")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen([str(compiled(folder)), str(port)])
    try:
        while not answers(port, "/"):
            assert process.poll() is None
            time.sleep(0.01)
        yield SinkClient(port)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(autouse=True)
def forgotten(sink: SinkClient) -> None:
    sink.reset()


def message(key: int, number: int) -> dict[str, object]:
    return {
        "id": f"m-{key}-{number}",
        "correlation_id": "c",
        "fields": {"mark": f"{key}.{number}.0", "note": "n" * 300},
    }


def post(sink: SinkClient, path: str, body: object = None) -> requests.Response:
    return requests.post(sink.url + path, data=orjson.dumps(body), timeout=5)


def test_a_body_is_answered_as_by_a_push_receiver(sink: SinkClient) -> None:
    answer = post(sink, "/rps/messages", message(7, 1))
    assert answer.json() == {"record_id": "S7", "revision": "1"}
    assert sink.stats()["distinct"] == 1


def test_a_peers_url_is_judged_alike(sink: SinkClient) -> None:
    post(sink, f"/d/7/1/{time.monotonic_ns()}")
    post(sink, "/d/7/3/0")
    post(sink, "/d/7/1/0")
    stats = sink.stats()
    found = {k: stats[k] for k in ("distinct", "duplicates", "out_of_order")}
    assert found == {"distinct": 2, "duplicates": 1, "out_of_order": 1}
    assert 0 < stats["p50_ms"] < 5000


@pytest.mark.parametrize("sort", [0, orjson.OPT_SORT_KEYS])
def test_many_messages_have_a_receipt_each(sink: SinkClient, sort: int) -> None:
    """Larger than any buffer, and with keys in either order."""
    many = [message(key, number) for number in (1, 2) for key in range(400)]
    body = orjson.dumps({"messages": many}, option=sort)
    receipts = requests.post(f"{sink.url}/b", data=body, timeout=5).json()["receipts"]
    assert [r["id"] for r in receipts] == [m["id"] for m in many]
    assert receipts[1] == {
        "id": "m-1-1",
        "status": 200,
        "record_id": "S1",
        "revision": "1",
    }
    stats = sink.stats()
    assert (stats["distinct"], stats["out_of_order"]) == (800, 0)


def test_a_refusal_is_of_the_first_try_only(sink: SinkClient) -> None:
    sink.reset(refuse_one_in=1)
    assert post(sink, "/d/1/1/0").status_code == 503
    assert post(sink, "/d/1/1/0").status_code == 200
    assert sink.stats()["refused"] == 1


def test_in_a_batch_nothing_passes_a_refused_one(sink: SinkClient) -> None:
    sink.reset(refuse_one_in=1)
    post(sink, "/d/2/1/0")  # its second try is taken
    body = {"messages": [message(1, 1), message(1, 2), message(2, 1)]}
    receipts = post(sink, "/b", body).json()["receipts"]
    assert [r["status"] for r in receipts] == [503, 503, 200]
    assert sink.stats()["out_of_order"] == 0


def test_a_delay_holds_up_nobody_else(sink: SinkClient) -> None:
    sink.reset(delay_ms=300)
    start = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        posted = [pool.submit(post, sink, f"/d/{key}/1/0") for key in (1, 2, 3)]
        for each in posted:
            each.result()
    assert 0.3 <= time.monotonic() - start < 0.8
    assert sink.stats()["overlaps"] == 0
