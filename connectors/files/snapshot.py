"""One content of a file: opened, hashed, and read only for as long as nobody writes to it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from connectors.files.lines import Line, read_lines
from mainstem import Misconfigured, Retryable

_MADE_BY_A_PERSON = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class Snapshot:
    """Blocks: make it and read from it in a worker thread. Raises Misconfigured when the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_file(path)
        try:
            self._written = self._last_write()
            self.content = hashlib.file_digest(self._file, "sha256").hexdigest()
            self._file.seek(0)
        except OSError as error:
            self._file.close()
            raise Retryable(f"{path} cannot be read: {error.strerror}") from None

    def lines(self) -> Iterator[Line]:
        """The lines, once."""
        return read_lines(self._file)

    def check_unchanged(self) -> None:
        """Raises Retryable when the file was written to since it was opened: `content` is no longer its name."""
        if self._last_write() != self._written:
            raise Retryable(f"{self._path} was written to while it was read", fix="nothing to do; it is read again")

    def close(self) -> None:
        """Closes the file; reading ends."""
        self._file.close()

    def _last_write(self) -> tuple[int, int]:
        now = os.fstat(self._file.fileno())
        return now.st_mtime_ns, now.st_size


def open_file(path: Path) -> BufferedReader:
    """The file, opened. Raises Misconfigured when a person has to put it there or allow it, else Retryable."""
    try:
        return path.open("rb")
    except _MADE_BY_A_PERSON as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}", fix="put the file there, readable") from None
    except OSError as error:
        raise Retryable(f"{path} cannot be read: {error.strerror}") from None
