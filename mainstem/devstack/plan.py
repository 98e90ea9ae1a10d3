"""What to do about what is found: which processes are ours, which parts stay, which are stopped and started. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from mainstem.devstack.stack import Home, Part, State


@dataclass(frozen=True, slots=True)
class Seen:
    """One process of this machine."""

    pid: int
    parent: int
    name: str
    command: tuple[str, ...]
    folder: Path | None = None
    """Its working folder; looked up for PostgreSQL's processes only."""


def mark(home: Home, part: Part) -> str:
    """The argument by which a part's process is known again, whatever became of our notes, its number or the clock."""
    if part is Part.POSTGRES:
        return str(home.of_part(part) / "data")
    return f"-Dmainstem.part={home.of_part(part)}"


def ours(seen: Iterable[Seen], home: Home) -> dict[Part, frozenset[int]]:
    """The processes of each part. A PostgreSQL worker counts when its server is gone: it still holds the data."""
    processes = list(seen)
    found = {part: {process.pid for process in processes if mark(home, part) in process.command} for part in Part}
    # For a moment a server's new child looks like it: it has been forked, and has not written its own name yet.
    found = {part: pids - {p.pid for p in processes if p.parent in pids} for part, pids in found.items()}
    servers = found[Part.POSTGRES]
    data = home.of_part(Part.POSTGRES) / "data"
    orphans = {
        process.pid
        for process in processes
        if process.name == "postgres" and process.folder == data and process.parent not in servers
    }
    return {part: frozenset(pids | (orphans if part is Part.POSTGRES else set())) for part, pids in found.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """What brings the stack up: `keep` and `start` are all its parts; `stop` are leftovers that go first."""

    keep: frozenset[Part]
    start: frozenset[Part]
    stop: frozenset[int]


def plan(state: State | None, alive: Mapping[Part, frozenset[int]], answering: Set[Part]) -> Plan:
    """Keeps a part that runs exactly as it was noted and answers; anything else of ours is a leftover.

    The registry goes with its database: it may hold connections to the one that is gone.
    """
    noted = {} if state is None else state.stack.pids
    keep = {part for part in Part if part in answering and alive[part] == {noted.get(part)}}
    if Part.POSTGRES not in keep:
        keep.discard(Part.REGISTRY)
    stop = {pid for part in Part if part not in keep for pid in alive[part]}
    return Plan(keep=frozenset(keep), start=frozenset(Part) - keep, stop=frozenset(stop))
