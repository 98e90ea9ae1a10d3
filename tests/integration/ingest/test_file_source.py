"""The file source resumes by content and offset, on a real broker: killed in the middle, its file replaced or grown."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.files import FileSource
from mainstem.codec.avro import Encoder
from mainstem.codec.coerce import Coercer
from mainstem.codec.headers import ID, as_dict
from mainstem.codec.message import Message
from mainstem.devstack import Stack
from mainstem.failpoint import failpoint
from mainstem.ingest import pull
from mainstem.ingest.positions import read_position
from mainstem.ingest.pull import PullIngest
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.positions import POSITIONS
from mainstem.kafka.reader import reading
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.observe.board import Board

pytestmark = pytest.mark.stack
DEADLINE_S = 120
ROW = {"type": "record", "name": "row", "fields": [{"name": "n", "type": "int"}]}


class Files:
    """One file, one topic, and workers that read the one into the other."""

    def __init__(self, config: dict[str, Any], name: str, folder: Path) -> None:
        self.config = config
        self.name = name
        self.topic = f"test.{name}.v1"
        self.path = folder / "rows.csv"

    def put(self, rows: range) -> str:
        """Replaces the file by another one; gives what its events' ids begin with."""
        text = "n\n" + "".join(f"{n}\n" for n in rows)
        partial = self.path.with_suffix(".part")
        partial.write_text(text)
        partial.replace(self.path)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def grow(self, rows: range) -> str:
        """Writes more lines to the end of the same file."""
        with self.path.open("a") as file:
            file.writelines(f"{n}\n" for n in rows)
        return hashlib.sha256(self.path.read_bytes()).hexdigest()[:16]

    @contextlib.asynccontextmanager
    async def worker(self) -> AsyncIterator[PullIngest]:
        """One that is cancelled at the end, whatever it is at: what it has under way is lost."""
        source = FileSource(path=self.path, key="n", batch_events=10, poll_every_s=0.05)
        writer = EventWriter(Encoder(self.topic, ROW, 1), Coercer(ROW))
        work = PullIngest(self.name, "rows", source, writer, self.config, Board())
        task = asyncio.create_task(work.run(asyncio.Event()))
        try:
            yield work
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def read_to_the_end_of(self, content: str, rows: int) -> None:
        await self.read_until(lambda done: done == (content, rows))

    async def read_until(self, holds: Callable[[tuple[str, int] | None], bool]) -> None:
        async with self.worker(), asyncio.timeout(DEADLINE_S):
            while not holds(await self.done()):  # noqa: ASYNC110 - a topic announces nothing
                await asyncio.sleep(0.05)

    async def done(self) -> tuple[str, int] | None:
        """The content that was read last, and how many of its rows are durable."""
        stored = await asyncio.to_thread(read_position, self.config, f"{self.name}.rows")
        return None if stored is None else (stored.position["content"][:16], stored.position["offset"])

    def ids(self) -> Counter[str]:
        with reading(self.config) as reader:
            ends = Admin(self.config).ends(reader.partitions(self.topic))
            found = [_id(m) for batch in reader.read({p: (0, end) for p, end in ends.items()}) for m in batch]
        return Counter(found)


def _id(message: Message) -> str:
    return as_dict(message.headers())[ID].decode()


def each_once(content: str, rows: int) -> Counter[str]:
    return Counter(f"{content}:{place}" for place in range(rows))


@pytest.fixture
def files(stack: Stack, tmp_path: Path) -> Iterator[Files]:
    made = Files({"bootstrap.servers": stack.bootstrap}, f"test{uuid.uuid4().hex}", tmp_path)
    compacted = {"cleanup.policy": "compact"}
    Admin(made.config).create([TopicSpec(POSITIONS, 1, 1, compacted), TopicSpec(made.topic, 3)])
    yield made
    Admin(made.config).delete([made.topic])


async def test_a_reader_that_dies_in_the_middle_is_resumed_at_its_offset(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = files.put(range(500))
    deaths = [f"source.{place}" for place in ("read", "before_commit", "after_commit", "acknowledged")]
    for place in deaths:
        died = asyncio.Event()
        hits = Counter[str]()

        def hit(name: str, place: str = place, died: asyncio.Event = died, hits: Counter[str] = hits) -> None:
            hits[name] += 1
            if name == place and hits[name] == 4:
                died.set()
                raise asyncio.CancelledError

        monkeypatch.setattr(pull, "failpoint", hit)
        async with files.worker():
            await asyncio.wait_for(died.wait(), DEADLINE_S)
    monkeypatch.setattr(pull, "failpoint", failpoint)
    stood = await files.done()
    assert stood is not None
    assert stood[0] == content
    assert 0 < stood[1] < 500

    await files.read_to_the_end_of(content, 500)

    assert files.ids() == each_once(content, 500)


async def test_a_file_that_is_replaced_in_the_middle_is_another_one(files: Files) -> None:
    """The old one may be left at any row: what was published of it stays, each row once."""
    before = files.put(range(20_000))
    await files.read_until(lambda done: done is not None)

    after = files.put(range(100, 150))
    await files.read_to_the_end_of(after, 50)

    found = files.ids()
    left_at = found.total() - 50
    assert 0 < left_at < 20_000
    assert found == each_once(before, left_at) + each_once(after, 50)


async def test_a_file_that_grew_is_read_anew_under_new_ids(files: Files) -> None:
    before = files.put(range(50))
    await files.read_to_the_end_of(before, 50)

    after = files.grow(range(50, 70))
    await files.read_to_the_end_of(after, 70)
    await files.read_to_the_end_of(after, 70)

    assert files.ids() == each_once(before, 50) + each_once(after, 70)
