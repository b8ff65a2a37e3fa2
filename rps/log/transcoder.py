"""Events to JSON bytes and back by orjson; the library's own transcoder reads them.

Only an event's own attributes may be UUID, datetime or Decimal. Below them is plain
JSON: a nested one is an error here, not a silent change of type.
"""

from __future__ import annotations

from typing import Any

import orjson
from eventsourcing.persistence import JSONTranscoder, TranscodingNotRegisteredError

_OPTIONS = (
    orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
)


class OrjsonTranscoder(JSONTranscoder):
    def encode(self, obj: Any) -> bytes:
        if type(obj) is dict:
            obj = {
                name: self._encode_obj(value) if type(value) in self.types else value
                for name, value in obj.items()
            }
        try:
            return orjson.dumps(obj, option=_OPTIONS)
        except orjson.JSONEncodeError as error:
            raise TranscodingNotRegisteredError(
                f"{error}: keep what an event holds plain, or register a transcoding"
            ) from error

    def decode(self, data: bytes) -> Any:
        obj = orjson.loads(data)
        if type(obj) is dict:
            for name, value in obj.items():
                if type(value) is dict and "_type_" in value:
                    obj[name] = self._decode_obj(value)
        return obj
