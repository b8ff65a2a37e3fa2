"""Events to JSON bytes and back by orjson; the library's own transcoder reads them.

What an event holds is plain JSON, but for datetime and Decimal wherever they stand and
UUID among its own attributes; a UUID further down comes back as a text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from eventsourcing.persistence import JSONTranscoder, TranscodingNotRegisteredError

_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
)
_MARK = b'"_type_"'
_OURS = {"_type_", "_data_"}


class OrjsonTranscoder(JSONTranscoder):
    """Anybody may send an object whose two names are `_type_` and `_data_`. The library
    would take it for one of its own and fail on it for ever, so it is stored with a
    third name, `_`, that is taken away again here."""

    _moment: tuple[object, dict[str, Any]] = (None, {})

    def _encode_obj(self, o: Any) -> dict[str, Any]:
        """The events of a request have one and the same moment."""
        moment, written = self._moment
        if o is moment:
            return written
        written = super()._encode_obj(o)
        if type(o) is datetime:
            self._moment = (o, written)
        return written

    def encode(self, obj: Any) -> bytes:
        """Raises TranscodingNotRegisteredError where JSON has no word for something."""
        transcoded: list[Any] = []

        def transcode(value: Any) -> Any:
            transcoded.append(value)
            return self._encode_obj(value)

        try:
            if type(obj) is dict and UUID in map(type, obj.values()):
                return orjson.dumps(self._written(obj), None, _OPTIONS)
            data = orjson.dumps(obj, transcode, _OPTIONS)
            if data.count(_MARK) != len(transcoded):
                return orjson.dumps(self._written(obj), None, _OPTIONS)
        except orjson.JSONEncodeError as error:
            raise TranscodingNotRegisteredError(
                f"{error}: keep what an event holds plain, or register a transcoding"
            ) from error
        return data

    def decode(self, data: bytes) -> Any:
        obj = orjson.loads(data)
        marks = data.count(_MARK)
        if marks == 1 and type(obj) is dict:  # its timestamp, as a rule
            value = obj.get("timestamp")
            if type(value) is dict and value.keys() == _OURS:
                obj["timestamp"] = self._decode_obj(value)
                return obj
        return self._read(obj) if marks else obj

    def _written(self, value: Any) -> Any:
        if type(value) in self.types:
            return self._encode_obj(value)
        if type(value) is dict:
            written = {name: self._written(each) for name, each in value.items()}
            if _lookalike(value):
                written["_" * (len(value) - 1)] = None
            return written
        if type(value) in (list, tuple):
            return [self._written(each) for each in value]
        return value

    def _read(self, value: Any) -> Any:
        if type(value) is dict:
            read = {name: self._read(each) for name, each in value.items()}
            if read.keys() == _OURS:
                return self._decode_obj(read)
            if _lookalike(read):
                del read["_" * (len(read) - 2)]
            return read
        if type(value) is list:
            return [self._read(each) for each in value]
        return value


def _lookalike(value: dict[str, Any]) -> bool:
    """`_type_` and `_data_`, and then `_`, `__` and so on: it may look like ours, or
    like one that was kept from looking so."""
    added = {"_" * n for n in range(1, len(value) - 1)}
    return value.keys() == _OURS | added
