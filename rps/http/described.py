"""Settings of systems that are described, as they are posted."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError

from rps.connectors.rest import presets
from rps.connectors.rest.presets import PresetUnknown
from rps.connectors.rest.reading import chosen, read_description
from rps.http.servicenow_settings import OF_ALL_ASKED

OWN = ("preset", "described", "set")
"""The settings that no other connector has."""
KEPT = ("url", "secrets", "described", "preset", "set", "ca", *OF_ALL_ASKED)


def described_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """With the whole description, also where a preset is only named: what a later
    version ships is no change of the system. Raises ValidationError, and
    DefinitionRefused with all that is wrong with the description."""
    if "described" not in settings:
        try:
            written = presets.text(settings.get("preset", ""))
        except PresetUnknown as unknown:
            raise ValidationError({"settings": {"preset": [str(unknown)]}}) from None
        settings = {**settings, "described": presets.read_text(written)[0]}
    description = read_description(settings["described"])
    chosen(description, settings.get("set", {}), "/settings/set")
    defaults = {"preset": "", "set": {}}
    return {k: v for k, v in {**defaults, **settings}.items() if k in KEPT}
