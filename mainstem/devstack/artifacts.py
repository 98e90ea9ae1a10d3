"""Which files make up Kafka and the registry: pinned by checksum in `*.lock`, one Maven artifact a line.

The set was resolved once by Maven itself (`relock.py` tells how), so a start resolves nothing and never gets a mixture
of versions; a pure-Python resolver was tried and picked an older kafka-clients than the broker's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LOCKS: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a Maven repository: its path there (`org/apache/...`), its checksum and its size."""

    path: str
    sha256: str
    bytes: int

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def locked(component: str) -> tuple[Artifact, ...]:
    """The artifacts of `<component>.lock`, in its order (which is the class path's)."""
    lines = (LOCKS / f"{component}.lock").read_text(encoding="utf-8").splitlines()
    return tuple(_artifact(line) for line in lines if line and not line.startswith("#"))


def _artifact(line: str) -> Artifact:
    sha256, size, path = line.split()
    return Artifact(path=path, sha256=sha256, bytes=int(size))


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a user's downloads are kept, for all projects: MAINSTEM_CACHE, or `mainstem` in the cache folder."""
    if given := environ.get("MAINSTEM_CACHE"):
        return Path(given).expanduser().resolve()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "mainstem"
    caches = environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "mainstem"
