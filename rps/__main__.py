"""What `python -m rps` runs."""

from __future__ import annotations

from rps.cli import main

if __name__ == "__main__":
    main(prog_name="rps")
