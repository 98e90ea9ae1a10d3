"""How long work is shown: the stack reports, the terminal (or nobody) draws."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

Advance = Callable[[int], None]
"""Call with the bytes that just arrived; negative when a damaged download is thrown away."""


class Progress(Protocol):
    """Called from several threads at once: downloads and starts overlap."""

    def step(self, name: str) -> AbstractContextManager[None]:
        """Something that takes a while and has no size. Leaving with an exception means that it failed."""

    def download(self, name: str, total_bytes: int) -> AbstractContextManager[Advance]:
        """A download of a known size."""


class Silent:
    """Shows nothing."""

    def step(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def download(self, name: str, total_bytes: int) -> AbstractContextManager[Advance]:
        return nullcontext(lambda _: None)


SILENT: Final[Progress] = Silent()
