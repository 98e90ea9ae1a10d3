"""What a running development stack is, as values: its parts, its addresses, and the file that keeps them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

REGISTRY_PATH: Final = "/apis/ccompat/v7"
"""Where Apicurio serves the Confluent registry's API."""


class Part(StrEnum):
    """One server of the stack."""

    KAFKA = "kafka"
    REGISTRY = "registry"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the three servers are."""

    bootstrap: str
    """Kafka's `host:port`."""
    registry_url: str
    """The registry's Confluent API, its path included."""
    postgres_dsn: str = field(repr=False)
    """A superuser's connection string to the database `postgres`; it holds the password."""
    pids: Mapping[Part, int] = field(default_factory=dict)
    """The process of each part on this machine; empty for a stack that was given."""


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that answers."""

    stack: Stack
    started_here: bool
    """Whether this call started all of it; false when it was found running, was given, or was only completed."""
    end: Callable[[], None] = field(repr=False, default=lambda: None)

    def stop(self) -> None:
        """Stops the stack if this call started it."""
        if self.started_here:
            self.end()


@dataclass(frozen=True, slots=True)
class Home:
    """Where a project's stack keeps everything: `<project>/.mainstem/`."""

    folder: Path

    @classmethod
    def of(cls, project: Path) -> Home:
        return cls(project.resolve() / ".mainstem")

    @property
    def state(self) -> Path:
        return self.folder / "stack.json"

    @property
    def password(self) -> Path:
        """The PostgreSQL superuser's. Beside the data, because it is valid as long as that."""
        return self.folder / "postgres" / "password"

    def of_part(self, part: Part) -> Path:
        return self.folder / part

    def log(self, part: Part) -> Path:
        return self.folder / "logs" / f"{part}.log"


@dataclass(frozen=True, slots=True)
class State:
    """What `stack.json` remembers."""

    stack: Stack
    ports: Mapping[str, int]
    """Each kept for the next start where it is still free then."""
    ends_with_its_users: bool = False
    """Whether the last `shared` user that leaves stops it, even one that only found it (after a crash of the first)."""


def write_state(file: Path, state: State) -> None:
    """Replaces the file as a whole; only its owner may read it, because of the password."""
    stack = state.stack
    content = {
        "bootstrap": stack.bootstrap,
        "registry_url": stack.registry_url,
        "postgres_dsn": stack.postgres_dsn,
        "pids": dict(stack.pids),
        "ports": dict(state.ports),
        "ends_with_its_users": state.ends_with_its_users,
    }
    write_private(file, json.dumps(content, indent=2) + "\n")


def read_state(file: Path) -> State | None:
    """The last written state; None where there is none, or none that this version understands."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        stack = Stack(
            bootstrap=str(content["bootstrap"]),
            registry_url=str(content["registry_url"]),
            postgres_dsn=str(content["postgres_dsn"]),
            pids={Part(part): int(pid) for part, pid in content["pids"].items()},
        )
        ports = {str(name): int(port) for name, port in content["ports"].items()}
        return State(stack, ports, bool(content["ends_with_its_users"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_private(file: Path, text: str) -> None:
    """Writes a file that only its owner can read, under a temporary name first: a reader finds all or nothing."""
    partial = file.with_name(file.name + ".part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    partial.replace(file)
