"""Notices as webhooks: CloudEvents 1.0 in structured JSON, signed as Standard Webhooks.

POST {url}     2xx: taken; 410: give up; anything else: tried again
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from rps.connectors import meaning
from rps.connectors.announcing import Again, Announced, Announcement, Never, Told
from rps.connectors.signature import Signer
from rps.connectors.transport import Answer, Request
from rps.domain.delivery import Exchange, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rps.connectors.push import Wire

MEDIA_TYPE = "application/cloudevents+json"


class WebhookChannel:
    """Raises SecretUnusable when one of `secrets` is no secret. `source` says which
    node speaks, as a URI."""

    def __init__(
        self,
        transport: Wire,
        *,
        url: str,
        secrets: Iterable[str],
        source: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._transport = transport
        self._url = url
        self._signer = Signer(secrets)
        self._source = source
        self._clock = clock

    def announce(self, said: Announcement) -> Announced:
        body = cloud_event(said, self._source)
        headers = self._signer.headers(said.key, int(self._clock()), body)
        headers["Content-Type"] = MEDIA_TYPE
        answer = self._transport.send(
            Request("POST", self._url, headers, body, retry_safe=True)
        )
        if not isinstance(answer, Answer):
            return Again(answer.detail)
        detail = meaning.detail_of(answer)
        if meaning.is_success(answer.status):
            return Told(detail)
        if answer.status == HTTPStatus.GONE:
            return Never(f"{detail}: nobody wants it there any more")
        judged = meaning.classified(answer, Exchange(), self._clock())
        wait = judged.retry_after if isinstance(judged, Unavailable) else None
        return Again(detail, wait)


def cloud_event(said: Announcement, source: str) -> bytes:
    """The same bytes for every attempt."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": said.key,
            "source": source,
            "type": f"rps.{said.topic}",
            "subject": said.about,
            "time": said.at,
            "datacontenttype": "application/json",
            "data": {**said.data, "title": said.subject, "text": said.text},
        }
    )
