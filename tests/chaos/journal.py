"""What was done to whom and when, for whoever has to find out why something went wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path


class Journal:
    """A file with one line for each thing that happened; times are UTC, as in the workers' logs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, what: str) -> None:
        with self.path.open("a", encoding="utf-8") as out:
            out.write(f"{datetime.now(UTC):%H:%M:%S.%f} {what}\n")
