"""Sets up a real Roundup tracker: its classic template, people, and what rps needs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from rps.config import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD_CHARACTERS_MIN: Final = 4
OURS: Final = "rps"
PEOPLE: Final = {
    "zoe": "Zoe Zenith",
    "zack": "Zack Zenith",
    OURS: "Remote Process Sync",
}
"""Those who work there, and the account of the preset."""
ADMIN: Final = "admin"
DOMAIN: Final = "example.com"
ROUNDS: Final = 1_000
"""Of a password's hash, the fewest that Roundup takes. It is computed anew for each
request; the 250,000 it comes with take longer than all the rest of the answer."""
_CLASS: Final = 'issue = IssueClass(db, "issue",'
_FIELD: Final = " external_id=String(),"


class RoundupMissing(Exception):
    """Roundup is not installed beside rps: pip install 'rps[demo]'"""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """`home` is the tracker's folder. `password` is that of `admin` and all of PEOPLE;
    one that was set up before keeps those it has. Raises ConfigurationError."""

    name: str
    home: Path
    password: str
    host: str = "127.0.0.1"
    port: int = 0

    def __post_init__(self) -> None:
        if len(self.password) < PASSWORD_CHARACTERS_MIN:
            raise ConfigurationError(
                f"password: give at least {PASSWORD_CHARACTERS_MIN} characters"
            )

    @property
    def url(self) -> str:
        """Where people and rps have to reach it: Roundup compares each write's Origin
        with it."""
        return f"http://{self.host}:{self.port}"


def set_up(settings: TrackerSettings) -> None:
    """Make the tracker, unless it is there; either way it lives at the settings' URL.

    Raises RoundupMissing.
    """
    require_roundup()
    from roundup import configuration as config  # noqa: PLC0415

    if not settings.home.exists():
        # Made beside and moved, so that one that was not finished is no tracker.
        draft = settings.home.with_name(f"{settings.home.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        _make(config, settings, draft)
        draft.rename(settings.home)
    _place(config, settings, settings.home)


def require_roundup() -> None:
    """Raises RoundupMissing."""
    if find_spec("roundup") is None:
        raise RoundupMissing


def _make(config: Any, settings: TrackerSettings, home: Path) -> None:
    from roundup import init, instance  # noqa: PLC0415
    from roundup.admin import AdminTool  # noqa: PLC0415
    from roundup.password import Password  # noqa: PLC0415

    home.parent.mkdir(parents=True, exist_ok=True)
    template = AdminTool().listTemplates()["classic"]["path"]
    init.install(str(home), template, settings={"rdbms_backend": "sqlite"})
    schema = home / "schema.py"
    # As the preset asks for: by it a record whose creation was not answered is found.
    schema.write_text(schema.read_text().replace(_CLASS, f"{_CLASS}{_FIELD}"))
    _place(config, settings, home)
    tracker = instance.open(str(home))
    secret = Password(settings.password, config=tracker.config)
    tracker.init(secret)
    database = tracker.open(ADMIN)
    for name, real in PEOPLE.items():
        address = f"{name}@{DOMAIN}"
        more = {"roles": "User", "timezone": "0", "address": address}
        database.user.create(username=name, realname=real, password=secret, **more)
    database.commit()
    database.close()


def _place(config: Any, settings: TrackerSettings, home: Path) -> None:
    """Where it is reached, and that its mail goes to a file instead of to people."""
    kept = config.CoreConfig(str(home))
    kept["TRACKER_NAME"] = settings.name
    kept["TRACKER_WEB"] = f"{settings.url}/"
    kept["MAIL_DOMAIN"] = DOMAIN
    kept["MAIL_HOST"] = settings.host
    kept["MAIL_DEBUG"] = str(home / "mail.txt")
    kept["PASSWORD_PBKDF2_DEFAULT_ROUNDS"] = str(ROUNDS)
    kept.save(str(home / config.CoreConfig.INI_FILE))
