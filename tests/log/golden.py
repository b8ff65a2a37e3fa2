"""The bytes of every event that was ever stored, in golden.json: topic -> forms.

The last form of a topic is what is written today, the others are what older nodes
wrote. `python tests/log/golden.py` adds what is new; with `--anew`, which is for the
time before the first release only, it starts over.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from eventsourcing.persistence import DatetimeAsISO, DecimalAsStr, UUIDAsHex
from examples import example, kinds

from rps.log.mapper import EventMapper
from rps.log.transcoder import OrjsonTranscoder

FILE = Path(__file__).with_name("golden.json")


def mapper() -> EventMapper:
    transcoder = OrjsonTranscoder()
    for transcoding in (UUIDAsHex(), DecimalAsStr(), DatetimeAsISO()):
        transcoder.register(transcoding)
    return EventMapper(transcoder)


def written(topic: str) -> str:
    """What is stored of the topic's example today."""
    return mapper().to_stored_event(example(topic)).state.decode()


def forms() -> dict[str, list[str]]:
    stored: dict[str, list[str]] = json.loads(FILE.read_bytes())
    return stored


def _update(*, anew: bool) -> None:
    known = {} if anew else forms()
    for topic in kinds():
        of_topic = known.setdefault(topic, [])
        if written(topic) not in of_topic[-1:]:
            of_topic.append(written(topic))
    text = json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True)
    FILE.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    _update(anew="--anew" in sys.argv)
