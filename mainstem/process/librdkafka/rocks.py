"""What is committed of one partition of a table, on disk: one RocksDB for each.

Changes and the changelog's offset are one write batch, so after a kill the file is at some commit, and says at which.
It is written after the transaction: stock Faust writes before, and keeps what an abort takes back.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from time import time
from typing import Any

from faust.exceptions import ImproperlyConfigured

from mainstem.process.librdkafka.committed import Change, Position

try:
    import rocksdict
except ImportError:  # the extra is not installed
    rocksdict = None  # type: ignore[assignment]

POSITION = b"\x00position"
KEY = b"\x01"
"""Stands before each of the table's keys, so that none is taken for the position."""
WRITE_BUFFER_BYTES = 16 << 20
CACHE_BYTES = 64 << 20
"""For all partitions of a process together."""
BLOOM_BITS = 10

log = logging.getLogger(__name__)
MISSING_LIBRARY = "a table in rocksdb:// needs the library: pip install 'mainstem[rocksdb]'"


class OnDisk:
    """See the module. Raises ImproperlyConfigured where another process has the folder open."""

    def __init__(self, folder: Path) -> None:
        if rocksdict is None:
            raise ImproperlyConfigured(MISSING_LIBRARY)
        self.topic = ""
        self._folder = folder
        self.position: Position | None = None
        self._open()

    def get(self, key: bytes) -> bytes | None:
        found: bytes | None = self._get(KEY + key)
        return found

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """As they are now; read while it goes on."""
        entries: Iterable[tuple[Any, Any]] = self._db.items(from_key=KEY)
        return ((key[1:], value) for key, value in entries)

    def __len__(self) -> int:
        return self._db.property_int_value("rocksdb.estimate-num-keys") or 0

    def write(self, changes: Iterable[Change], offset: int | None) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in changes:
            if value is None:
                batch.delete(KEY + key)
            else:
                batch.put(KEY + key, value)
        position = self.position
        if offset is not None:
            position = Position(offset, self.topic, time())
            batch.put(POSITION, json.dumps(position).encode())
        self._db.write(batch)
        self.position = position

    def clear(self) -> None:
        """Begins a new file."""
        self.close()
        shutil.rmtree(self._folder)
        self._open()

    def close(self) -> None:
        self._db.close()

    def _open(self) -> None:
        try:
            self._db = _opened(self._folder)
        except Exception as error:  # the library raises nothing more exact
            if not str(error).startswith("Corruption"):
                raise ImproperlyConfigured(f"{self._folder} could not be opened, or is in use: {error}") from error
            log.warning("%s is read anew from the changelog: %s", self._folder, error)
            shutil.rmtree(self._folder)
            self._db = _opened(self._folder)
        self._get: Callable[[bytes], Any] = self._db.get
        found: Any = self._get(POSITION)
        self.position = Position(*json.loads(found)) if found else None


def _opened(folder: Path) -> rocksdict.Rdict:
    folder.mkdir(parents=True, exist_ok=True)
    return rocksdict.Rdict(str(folder), _options())


@cache
def _blocks() -> rocksdict.BlockBasedOptions:
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_block_cache(rocksdict.Cache(CACHE_BYTES))
    blocks.set_bloom_filter(BLOOM_BITS, False)
    return blocks


def _options() -> rocksdict.Options:
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(_blocks())
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_keep_log_file_num(2)
    return options
