"""Which ports the stack listens on: chosen once, kept while they are free."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Final

HOST: Final = "127.0.0.1"

FIRST: Final = 20_000
COUNT: Final = 12_000
"""Below the ports that Linux (32768) and macOS (49152) hand out to outgoing connections, so that a stopped stack finds
its own ports free again."""


def choose(names: Iterable[str], kept: Mapping[str, int], seed: str, is_free: Callable[[int], bool]) -> dict[str, int]:
    """A free port for each name: the kept one if it is free, else the next free one from a place that `seed` gives.

    Projects differ in their seed, so two that start at the same moment look in different places.
    """
    start = zlib.crc32(seed.encode()) % COUNT
    candidates = iter(FIRST + (start + step) % COUNT for step in range(COUNT))
    chosen: dict[str, int] = {}
    for name in names:
        wished = [kept[name]] if name in kept else []
        chosen[name] = next(port for port in chain(wished, candidates) if port not in chosen.values() and is_free(port))
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on it now. A connection of a former server that still times out does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
