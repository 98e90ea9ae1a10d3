"""Long work as bars and ticks on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn

from mainstem.devstack import Advance


class TerminalProgress:
    """What the development stack does while it starts: bars on a terminal, one line a step elsewhere."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]ok"),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=self._console,
        )
        self._steps = Progress(SpinnerColumn(), TextColumn("{task.description}"), console=self._console, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        task = self._bars.add_task(name, total=None)
        try:
            yield
        finally:
            self._bars.remove_task(task)
        self._console.print(f"[green]ok[/] {name}", highlight=False)

    @contextmanager
    def download(self, name: str, total_bytes: int) -> Iterator[Advance]:
        if not self._console.is_terminal:
            self._console.print(f"downloading {name} ({total_bytes / 1e6:.0f} MB)", highlight=False)
        task = self._bars.add_task(name, total=total_bytes)
        try:
            yield lambda count: self._bars.advance(task, count)
        finally:
            self._bars.remove_task(task)
