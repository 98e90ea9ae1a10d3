"""A source that reads one file, and reads it again from the start when its content has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from pydantic import Field

from connectors.files.records import Record, read_csv, read_ndjson
from connectors.files.snapshot import Snapshot, open_file
from mainstem import Batch, Event, Misconfigured, Position, Rejected, Source

Format = Literal["csv", "ndjson"]

_FORMATS: dict[str, Format] = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_ID_CHARACTERS = 16


class FileSource(Source):
    """Reads a CSV whose first line names the columns, or an NDJSON file, in UTF-8.

    An event's id is `{content}:{offset}`: the first 16 characters of the SHA-256 of the whole file, and the number of
    records before it. A record that cannot be read becomes an event whose data raises Rejected, naming the line: only
    that one is refused. Replace a file by renaming another over it; one that is written to meanwhile is read again.
    """

    path: Path
    """The file, relative to the folder that mainstem runs in."""

    format: Format | None = None
    """Known from the suffixes .csv, .ndjson and .jsonl."""

    key: str | None = None
    """The column or field whose text is the event's key."""

    batch_events: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Events that are published, and whose position is kept, together."""

    empty_is_null: bool = True
    """Whether nothing between two commas of a CSV is null, rather than a text without characters."""

    async def read(self, after: Position | None) -> AsyncIterator[Batch]:
        """Batches after the position, or all of them when the content is another.

        Raises Misconfigured (no such file, no such column) and Retryable (written to meanwhile).
        """
        snapshot = await asyncio.to_thread(Snapshot, self.path)
        with closing(snapshot):
            content = snapshot.content
            done = int(after["offset"]) if after and after["content"] == content else 0
            records = islice(enumerate(self._records(snapshot)), done, None)
            while events := await asyncio.to_thread(self._take, records, snapshot):
                done += len(events)
                yield Batch(events, {"content": content, "offset": done})

    async def check(self) -> None:
        """Raises Misconfigured when the file cannot be opened or nothing says what its format is."""
        self._known_format()
        (await asyncio.to_thread(open_file, self.path)).close()

    def _known_format(self) -> Format:
        known = self.format or _FORMATS.get(self.path.suffix.lower())
        if known is None:
            raise Misconfigured(f"{self.path}: its suffix does not tell the format", fix="set format: csv or ndjson")
        return known

    def _records(self, snapshot: Snapshot) -> Iterator[Record]:
        if self._known_format() == "ndjson":
            return read_ndjson(snapshot.lines())
        return read_csv(snapshot.lines(), empty_is_null=self.empty_is_null, required=self.key)

    def _take(self, records: Iterator[tuple[int, Record]], snapshot: Snapshot) -> list[Event]:
        """The next batch, in the worker thread: never a line at a time."""
        stem = snapshot.content[:_ID_CHARACTERS]
        try:
            events = [self._event(f"{stem}:{offset}", record) for offset, record in islice(records, self.batch_events)]
        except Misconfigured as error:
            raise Misconfigured(f"{self.path}: {error.cause}") from None
        snapshot.check_unchanged()
        return events

    def _event(self, event_id: str, record: Record) -> Event:
        if record.data is None:
            return Event(id=event_id, decode=partial(_refuse, f"{self.path} {record.place}: {record.problem}"))
        if self.key is None:
            return Event(id=event_id, data=record.data)
        value = record.data.get(self.key)
        if value is None or value == "" or isinstance(value, (bool, float, list, dict)):
            problem = f"{self.key} is not text or a whole number, so it cannot be the key"
            return Event(id=event_id, decode=partial(_refuse, f"{self.path} {record.place}: {problem}"))
        return Event(id=event_id, key=str(value), data=record.data)


def _refuse(cause: str) -> NoReturn:
    raise Rejected(cause)
