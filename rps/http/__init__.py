"""The HTTP API: `create_app` puts it together from its `Parts`."""

from rps.http.app import create_app
from rps.http.parts import Parts

__all__ = ["Parts", "create_app"]
