"""A Dockerfile as its stages and instructions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """What one FROM starts."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and arguments, in order."""

    def all(self, instruction: str) -> list[str]:
        """The arguments of every such instruction."""
        return [arguments for name, arguments in self.steps if name == instruction]

    def copied(self) -> Iterator[str]:
        """What is copied from the build's context, not from another stage."""
        for arguments in self.all("COPY"):
            if not arguments.startswith("--from="):
                yield from arguments.split()[:-1]


def stages(path: Path) -> list[Stage]:
    """The stages of that file, in order."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        instruction, arguments = line.split(maxsplit=1)
        if instruction == "FROM":
            base, _, name = arguments.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].steps.append((instruction, arguments))
    return found
