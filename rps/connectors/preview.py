"""A request as it may be shown to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rps.domain.delivery import Preview

if TYPE_CHECKING:
    from rps.connectors.transport import Request

SECRET_HEADERS = ("webhook-signature", "authorization", "cookie", "x-api-key")
LEFT_OUT = "(left out)"


def preview_of(request: Request) -> Preview:
    """What would be sent, without what proves that we sent it."""
    headers = {
        name: LEFT_OUT if name.lower() in SECRET_HEADERS else value
        for name, value in request.headers.items()
    }
    body = request.body.decode()
    return Preview(request.method, request.url, headers, body)
