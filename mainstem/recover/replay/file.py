"""A file as a replay's target: a line per record, whole and under its name at once, or not there at all.

Lines are written to a file beside it whose name is the replay's, and synced before the job notes them. So the first
`delivered` lines are those that are settled: a replay that goes on keeps them and cuts off what is behind.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from mainstem.codec.message import Message
from mainstem.errors import Misconfigured, Refused
from mainstem.recover.replay.jobs import Job, Outcome
from mainstem.recover.replay.ranges import remaining

Line = Callable[[Message], bytes]
"""A record as one line, without its end. May ask the registry: raises Unreachable."""


class LinesFile:
    """Writes one replay's records. Use as a context manager; leaving it before `finish` keeps what is unfinished."""

    def __init__(self, path: Path, job_id: str, line: Line) -> None:
        self._path = path
        self._part = part_of(path, job_id)
        self._line = line
        self._file: BinaryIO | None = None

    def __enter__(self) -> LinesFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    async def begin(self, job: Job) -> None:
        """Opens the unfinished file, cut to the lines that are settled.

        Raises Refused when the file is there already, or the unfinished one is not what the job left.
        """
        await asyncio.to_thread(self._begin, job.delivered, not remaining(job.plan.ranges, job.next_offsets))

    async def deliver(self, messages: Sequence[Message]) -> Outcome:
        """Writes and syncs their lines. Raises Misconfigured when the disk refuses them, Unreachable."""
        await asyncio.to_thread(self._write, messages)
        return Outcome(len(messages), ())

    async def finish(self, job: Job) -> None:
        """Gives the file its name. Raises Refused when one has it already."""
        await asyncio.to_thread(self._finish)

    def _begin(self, settled: int, is_complete: bool) -> None:
        if settled and is_complete and not self._part.exists() and _has_lines(self._path, settled):
            return  # it was finished, and only the job did not come to say so
        _refuse_existing(self._path)
        with _tells(self._path):
            if not settled:
                self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
                return
            if not _has_lines(self._part, settled):
                raise Refused(
                    f"{self._part} does not hold the {settled} records that the replay has written",
                    fix="resume it where it was begun, or make a new plan",
                )
            self._file = self._part.open("r+b")
            size = sum(map(len, islice(self._file, settled)))
            self._file.truncate(size)
            self._file.seek(size)

    def _write(self, messages: Sequence[Message]) -> None:
        assert self._file is not None  # noqa: S101 - begun before
        start = self._file.tell()
        lines = b"".join(self._line(message) + b"\n" for message in messages)
        with _tells(self._path):
            try:
                self._file.write(lines)
                self._file.flush()
                os.fsync(self._file.fileno())
            except OSError:
                self._file.seek(start)
                self._file.truncate()
                raise

    def _finish(self) -> None:
        if self._file is None:
            return
        self._close()
        _refuse_existing(self._path)
        with _tells(self._path):
            self._part.rename(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def part_of(path: Path, job_id: str) -> Path:
    """The unfinished file: beside the other, so that it can be given its name at once."""
    return path.with_name(f".{path.name}.{job_id}.part")


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise Refused(f"{path} is there already", fix="remove it, or name another file")


def _has_lines(path: Path, count: int) -> bool:
    """Whether the file holds so many whole lines, or more."""
    try:
        with path.open("rb") as file:
            return sum(line.endswith(b"\n") for line in islice(file, count)) == count
    except FileNotFoundError:
        return False


@contextmanager
def _tells(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Misconfigured(
            f"{path} cannot be written: {error.strerror}", fix="make room or correct the path and its rights"
        ) from None
