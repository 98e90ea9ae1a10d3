"""The demo company's path in memory, and what the in-memory backbone does when something is wrong."""

from __future__ import annotations

import time
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import islice
from pathlib import Path

import pytest
from pydantic import PrivateAttr

from connectors.files import FileSource
from connectors.webhook import WebhookSource
from integrations.payments_to_accounting import journal_lines
from mainstem import Event, Rejected, Request, RequestRefused, Retryable, Row, Sink, Unreachable, Write, stream
from mainstem.errors import MAPPING_FAILED, PARKED_BEHIND, SCHEMA_REFUSES, TARGET_REFUSES, Misconfigured
from mainstem.flow.item import OnFailure
from mainstem.recover.selection import Selection
from mainstem.sdk.sink import Mapped
from mainstem.testing.backbone import MemoryBackbone
from mainstem.testing.memory_target import MemorySink, MemoryStore
from mainstem.testing.payment_provider import sign
from mainstem.testing.payment_provider.baskets import Basket, baskets
from streams.settle_payments import settle_payments

ROOT = Path(__file__).parents[3]
JOURNEY = ROOT / "data" / "journey"
SECRET = "whsec_" + b64encode(b"a secret of the till, 24 bytes or more").decode()
BASKETS, PRODUCTS, PAYMENTS = "raw.till.basket.v1", "raw.catalog.product.v1", "payments.payment_settled.v1"
LINES_OF_50_BASKETS = 700
NOTE = "shop.note.v1"
NOTES = {NOTE: {"type": "record", "name": "note", "namespace": "shop", "fields": [{"name": "n", "type": "int"}]}}


@pytest.fixture(scope="module")
def fifty(tmp_path_factory: pytest.TempPathFactory) -> list[Basket]:
    folder = tmp_path_factory.mktemp("journey")
    with (JOURNEY / "transactions.csv").open() as week:
        (folder / "transactions.csv").write_text("".join(islice(week, LINES_OF_50_BASKETS)))
    return baskets(folder)[:50]


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory, fifty: Sequence[Basket]) -> Path:
    """The catalogue's lines that the fifty baskets need."""
    sold = {line["product_id"] for basket in fifty for line in basket.lines}
    header, *rows = (JOURNEY / "products.csv").read_text().splitlines(keepends=True)
    path = tmp_path_factory.mktemp("catalogue") / "products.csv"
    path.write_text(header + "".join(row for row in rows if row.split(",")[0] in sold))
    return path


@pytest.fixture
async def demo(products: Path) -> AsyncIterator[MemoryBackbone]:
    async with MemoryBackbone(ROOT) as backbone:
        await backbone.read(FileSource(path=products, key="product_id"), topic=PRODUCTS, name="catalog")
        yield backbone


@pytest.fixture
async def notes() -> AsyncIterator[MemoryBackbone]:
    async with MemoryBackbone(NOTES) as backbone:
        yield backbone


def till() -> WebhookSource:
    settings = {"verify": "standard-webhooks", "secrets": [SECRET], "key": "basket_id", "time": "purchased_at"}
    return WebhookSource.model_validate(settings)


def paid(basket: Basket, *, secret: str = SECRET) -> Request:
    body = basket.body()
    return Request("POST", "/webhooks", sign(secret, basket.webhook_id, int(time.time()), body), body)


def note(n: int, *, key: str | None = None) -> Event:
    return Event(id=f"n{n}", key=key or f"k{n}", data={"n": n})


def is_nothing(row: Row) -> bool:
    return bool(row["debit"] == row["credit"])


def unbalanced(rows: Sequence[Row]) -> bool:
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row["payment_id"]] += row["debit"] - row["credit"]
    return any(sums.values())


async def test_fifty_real_baskets_become_balanced_books(demo: MemoryBackbone, fifty: Sequence[Basket]) -> None:
    store = MemoryStore()
    journal = MemorySink(store=store, replace_by="payment_id", refuse=is_nothing, refuse_all=unbalanced)
    began = time.process_time()  # of this process alone: the machine may be busy
    for basket in fifty:
        await demo.receive(till(), paid(basket), topic=BASKETS, name="till")
    settled = await demo.run(settle_payments)
    settlement = await demo.deliver(journal, [PAYMENTS], journal_lines, name="journal")
    assert time.process_time() - began < 1
    assert [e.id for e in settled] == [f"test.till:{basket.webhook_id}" for basket in fifty]
    assert [event.time for event in settled] == [basket.purchased_at for basket in fifty]
    assert len(settlement.delivered) == 50
    debits, credits = (sum(row[side] for row in store.rows) for side in ("debit", "credit"))
    assert debits == credits == sum(basket.net for basket in fifty) > 0
    assert {row["account"] for row in store.rows} > {"BANK", "GROCERY"}
    assert "UNKNOWN" not in {row["account"] for row in store.rows}
    assert demo.dead_letters("test.journal") == ()


async def test_a_refused_account_is_dead_lettered_and_redriven_once_it_is_mended(
    demo: MemoryBackbone, fifty: Sequence[Basket]
) -> None:
    closed, store = {"PRODUCE"}, MemoryStore()
    journal = MemorySink(store=store, replace_by="payment_id", refuse=lambda row: row["account"] in closed)
    for basket in fifty:
        await demo.receive(till(), paid(basket), topic=BASKETS)
    await demo.run(settle_payments)
    first = await demo.deliver(journal, [PAYMENTS], journal_lines)
    letters = demo.dead_letters("test.sink")
    assert 0 < len(letters) == len(first.letters) < 50
    assert {letter.fault.code for letter in letters} == {TARGET_REFUSES.number}
    assert len({letter.fault.cause for letter in letters}) == 1
    closed.clear()
    assert demo.redrive() == len(letters)
    second = await demo.deliver(journal, [PAYMENTS], journal_lines)
    assert len(second.released) == len(letters)
    assert {letter.state for letter in demo.dead_letters("test.sink")} == {"delivered"}
    assert sum(row["debit"] for row in store.rows) == sum(basket.net for basket in fifty)
    assert demo.redrive() == 0


async def test_a_webhook_that_comes_twice_is_published_once(demo: MemoryBackbone, fifty: Sequence[Basket]) -> None:
    await demo.receive(till(), paid(fifty[0]), topic=BASKETS)
    again = await demo.receive(till(), paid(fifty[0]), topic=BASKETS)
    assert again.duplicates == again.ids
    assert len(demo.topic(BASKETS)) == 1


async def test_a_refused_request_publishes_nothing(demo: MemoryBackbone, fifty: Sequence[Basket]) -> None:
    with pytest.raises(RequestRefused):
        await demo.receive(till(), paid(fifty[0], secret="whsec_" + b64encode(bytes(24)).decode()), topic=BASKETS)
    assert demo.topic(BASKETS) == []


async def test_a_source_that_is_read_again_goes_on_where_it_stood(tmp_path: Path, notes: MemoryBackbone) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("n\n1\n2\n")
    source = FileSource(path=path)
    assert [await notes.read(source, topic=NOTE), await notes.read(source, topic=NOTE)] == [2, 0]
    assert await notes.read(source, topic=NOTE, name="another") == 2
    assert [event.data["n"] for event in notes.topic(NOTE)] == [1, 2, 1, 2]


async def test_what_a_source_cannot_publish_is_its_dead_letter(tmp_path: Path, notes: MemoryBackbone) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("n\n1\nmany\n3\n")
    await notes.read(FileSource(path=path), topic=NOTE)
    (letter,) = notes.dead_letters("test.source")
    assert letter.fault.code == SCHEMA_REFUSES.number
    assert [event.data["n"] for event in notes.topic(NOTE)] == [1, 3]


@stream(reads=NOTE, writes=NOTE.replace("note", "twice"))
def twice(event: Event) -> Event:
    if event.data["n"] < 0:
        raise Rejected("below zero")
    return event.replace(data={"n": 2 * event.data["n"]})


@pytest.fixture
async def doubling() -> AsyncIterator[MemoryBackbone]:
    async with MemoryBackbone({**NOTES, twice.writes: {**NOTES[NOTE], "name": "twice"}}) as backbone:
        yield backbone


async def test_a_stream_is_given_only_what_is_new(doubling: MemoryBackbone) -> None:
    await doubling.publish(NOTE, [note(1)])
    assert [event.data["n"] for event in await doubling.run(twice)] == [2]
    await doubling.publish(NOTE, [note(2)])
    assert [event.data["n"] for event in await doubling.run(twice)] == [4]
    assert len(doubling.topic(twice.writes)) == 2


async def test_what_a_stream_rejects_is_its_dead_letter(doubling: MemoryBackbone) -> None:
    await doubling.publish(NOTE, [note(-1), note(2)])
    assert len(await doubling.run(twice)) == 1
    (letter,) = doubling.dead_letters("twice")
    assert (letter.event_id, letter.fault.code, letter.fault.message) == ("n-1", MAPPING_FAILED.number, "below zero")


async def test_a_bug_in_a_stream_is_raised_and_its_record_is_not_lost(doubling: MemoryBackbone) -> None:
    broken = [1]

    @stream(reads=twice.reads, writes=twice.writes)
    def buggy(event: Event) -> Event:
        if broken:
            raise KeyError("missing")
        return event

    await doubling.publish(NOTE, [note(1)])
    with pytest.raises(KeyError, match="missing"):
        await doubling.run(buggy)
    broken.clear()
    assert len(await doubling.run(buggy)) == 1


async def test_a_stream_that_asks_for_a_retry_gets_it_at_once_and_an_endless_outage_is_raised(
    doubling: MemoryBackbone,
) -> None:
    tries: list[Exception] = [Retryable("busy", after_s=60), Unreachable("away", after_s=60)]

    @stream(reads=twice.reads, writes=twice.writes)
    def flaky(event: Event) -> Event:
        if tries:
            raise tries.pop()
        return event

    @stream(reads=twice.reads, writes=twice.writes)
    def cut_off(event: Event) -> Event:
        raise Unreachable("stock does not answer")

    await doubling.publish(NOTE, [note(1)])
    assert len(await doubling.run(flaky)) == 1
    with pytest.raises(Unreachable, match="stock"):
        await doubling.run(cut_off)


class Mailbox(Sink):
    """A plain sink into a list; it refuses a batch with any of some numbers in it."""

    _written: list[int] = PrivateAttr(default_factory=list)
    _refuses: set[int] = PrivateAttr(default_factory=set)

    def open(self) -> AbstractAsyncContextManager[Write]:
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Write]:
        yield self._write

    async def _write(self, records: Sequence[Mapped]) -> None:
        numbers = [row["n"] for record in records for row in record.rows]
        if self._refuses.intersection(numbers):
            raise Rejected("an unlucky number")
        self._written += numbers


async def test_a_plain_sink_is_delivered_to_and_its_parked_keys_wait_in_order(notes: MemoryBackbone) -> None:
    mailbox = Mailbox()
    mailbox._refuses = {1}
    await notes.publish(NOTE, [note(1, key="a"), note(2, key="b"), note(3, key="a")])
    await notes.deliver(mailbox, [NOTE])
    assert mailbox._written == [2]
    assert [letter.fault.code for letter in notes.dead_letters("test.sink")] == ["MS-100", PARKED_BEHIND.number]
    await notes.publish(NOTE, [note(4, key="a"), note(5, key="b")])
    mailbox._refuses = set()
    await notes.deliver(mailbox, [NOTE])
    assert mailbox._written == [2, 5]
    assert notes.redrive() == 3
    await notes.deliver(mailbox, [NOTE])
    assert mailbox._written == [2, 5, 1, 3, 4]


async def test_a_selection_redrives_the_whole_key_of_a_letter(notes: MemoryBackbone) -> None:
    mailbox = Mailbox()
    mailbox._refuses = {1, 2}
    await notes.publish(NOTE, [note(1, key="a"), note(2, key="b"), note(3, key="a")])
    await notes.deliver(mailbox, [NOTE])
    mailbox._refuses = set()
    assert notes.redrive(selection=Selection(event_ids=frozenset({"n3"}))) == 2
    await notes.deliver(mailbox, [NOTE])
    assert mailbox._written == [1, 3]


async def test_a_bug_in_a_mapping_is_raised_and_nothing_is_settled(notes: MemoryBackbone) -> None:
    mailbox = Mailbox()
    await notes.publish(NOTE, [note(1)])
    with pytest.raises(Misconfigured) as caught:
        await notes.deliver(mailbox, [NOTE], lambda event: {"n": event.data["missing"]})
    assert isinstance(caught.value.__cause__, KeyError)
    await notes.deliver(mailbox, [NOTE])
    assert mailbox._written == [1]


async def test_a_sink_that_skips_lets_later_records_of_the_key_pass(notes: MemoryBackbone) -> None:
    mailbox = Mailbox()
    mailbox._refuses = {1}
    await notes.publish(NOTE, [note(1, key="a"), note(2, key="a")])
    await notes.deliver(mailbox, [NOTE], on_failure=OnFailure.SKIP)
    assert mailbox._written == [2]


async def test_data_that_does_not_fit_the_schema_is_refused_at_publishing(notes: MemoryBackbone) -> None:
    with pytest.raises(RequestRefused, match="n: expected int"):
        await notes.publish(NOTE, [Event(id="1", data={"n": "many"})])
    assert notes.topic(NOTE) == []


async def test_a_schema_file_that_is_not_valid_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "schemas" / "shop" / "note.v1.avsc"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    with pytest.raises(Misconfigured, match=r"note\.v1\.avsc"):
        MemoryBackbone(tmp_path)
