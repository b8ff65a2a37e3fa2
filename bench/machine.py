"""The machine in words: what somebody needs to know to compare, and no names."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

SETTINGS = """
SELECT name, current_setting(name) FROM pg_settings
WHERE name IN ('shared_buffers', 'max_wal_size', 'fsync', 'synchronous_commit',
               'full_page_writes', 'wal_sync_method', 'max_connections')
ORDER BY name
"""


def facts(connection: psycopg.Connection[Any]) -> dict[str, Any]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory": f"{memory >> 30} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "PostgreSQL": str(connection.info.parameter_status("server_version")),
        "settings": dict(connection.execute(SETTINGS.encode()).fetchall()),
        "load before": round(os.getloadavg()[0], 1),
    }


def in_words(facts: dict[str, Any]) -> str:
    settings = ", ".join(f"`{k}` {v}" for k, v in facts["settings"].items())
    return (
        f"{facts['cores']} cores ({facts['processor']}), {facts['memory']} of memory, "
        f"{facts['system']}, Python {facts['Python']}, PostgreSQL "
        f"{facts['PostgreSQL']} with {settings}; load before it began "
        f"{facts['load before']}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
