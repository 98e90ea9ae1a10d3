"""A week of real payments while whoever carries them is killed, or stopped and woken again: the books stay exact."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from mainstem.cli.demo.books import Books, Expected, booked, count_payments, differences, expected
from mainstem.cli.demo.company import BANK, NOT_IN_CHART, UNKNOWN
from mainstem.codec import headers as h
from mainstem.devstack import Stack
from mainstem.flow import dead_letter as dl
from mainstem.kafka.reader import reading
from mainstem.testing.payment_provider import Basket, PaymentProvider, baskets
from tests.backbone_process import BackboneProcess, until
from tests.demo_copy import REPOSITORY, TILL_SECRET, DemoCopy, copy_demo

pytestmark = pytest.mark.stack

DATA = REPOSITORY / "data" / "journey"
SPENT_ACCOUNT = "MS-105"
KILLS_WHILE_WEBHOOKS_COME = 6
KILLS_WHILE_THE_SINK_WRITES = 4
JITTER_S = 0.3
PROVIDER = PaymentProvider(first_retry_s=0.05, longest_retry_s=0.5)


@pytest.fixture(scope="module")
def week() -> list[Basket]:
    return baskets(DATA)


@pytest.fixture(scope="module")
def wanted() -> Expected:
    return expected(DATA)


@pytest.fixture
def dice() -> random.Random:
    seed = int(os.environ.get("MAINSTEM_CHAOS_SEED", random.randrange(1 << 32)))
    print(f"MAINSTEM_CHAOS_SEED={seed}")  # noqa: T201 - shown by pytest when it fails
    return random.Random(seed)


@pytest.fixture
def demo(tmp_path: Path, stack: Stack, wanted: Expected) -> DemoCopy:
    accounts = {account for entry in wanted.books.entries.values() for account in entry}
    return copy_demo(tmp_path, stack, chart=tuple(sorted((accounts | {BANK, UNKNOWN}) - {NOT_IN_CHART})))


def backbone_of(demo: DemoCopy, port: int) -> BackboneProcess:
    return BackboneProcess(demo.folder, port, env={"JOURNEY_DATA": str(DATA)})


def letters_by_event(demo: DemoCopy) -> dict[str, list[dict[str, bytes]]]:
    found: dict[str, list[dict[str, bytes]]] = {}
    with demo.services() as services, reading(services.config) as reader:
        for message in (m for batch in reader.read(reader.whole([demo.dlq])) for m in batch):
            given = h.as_dict(message.headers())
            found.setdefault((message.key() or b"").decode(), []).append(given)
    return found


def is_settled(demo: DemoCopy, count: int) -> bool:
    return count_payments(demo.accounting_dsn) + len(letters_by_event(demo)) >= count


def without(books: Books, left_out: frozenset[str]) -> Books:
    return Books({payment: entry for payment, entry in books.entries.items() if payment not in left_out})


async def send(week: Sequence[Basket], backbone: BackboneProcess, demo: DemoCopy, taken: list[str]) -> int:
    sent = await PROVIDER.deliver(
        week,
        url=f"{backbone.url}/webhooks/{demo.integration}/till",
        secret=TILL_SECRET,
        in_flight=16,
        on_delivered=lambda basket: taken.append(basket.basket_id),
    )
    return sent.delivered


async def survive(backbone: BackboneProcess, demo: DemoCopy, taken: list[str], dice: random.Random, of: int) -> None:
    """The process is killed while baskets are coming in, and while they are being booked, ten times in all."""
    moments = ["in"] * KILLS_WHILE_WEBHOOKS_COME + ["booked"] * KILLS_WHILE_THE_SINK_WRITES
    dice.shuffle(moments)
    share = of // (len(moments) + 1)
    for moment in moments:
        if moment == "in":
            enough = len(taken) + dice.randrange(1, share)
            await asyncio.to_thread(until, lambda least=enough: len(taken) >= min(least, of))
        else:
            before = await asyncio.to_thread(count_payments, demo.accounting_dsn)
            await asyncio.to_thread(until, lambda n=before: count_payments(demo.accounting_dsn) > n)
        await asyncio.sleep(dice.uniform(0, JITTER_S))
        await asyncio.to_thread(backbone.kill)
        await asyncio.to_thread(backbone.start)


async def test_ten_kills_in_the_week_leave_the_books_exact(
    demo: DemoCopy, week: list[Basket], wanted: Expected, free_port: int, dice: random.Random
) -> None:
    taken: list[str] = []
    with backbone_of(demo, free_port) as backbone:
        backbone.start().until_ready()
        sending = asyncio.create_task(send(week, backbone, demo, taken))
        await survive(backbone, demo, taken, dice, len(week))
        assert await sending == len(week)
        await asyncio.to_thread(until, lambda: is_settled(demo, len(week)))
        refused = wanted.never | wanted.not_yet
        assert differences(without(wanted.books, refused), booked(demo.accounting_dsn)) == []
        assert Counter({key: len(letters) for key, letters in letters_by_event(demo).items()}) == Counter(refused)
        await asyncio.to_thread(redrive_what_can_be_booked, backbone, demo, wanted)
        books = booked(demo.accounting_dsn)
    assert differences(wanted.books, books) == []
    assert (len(books.entries), books.lines) == (2911, 10_396)
    assert f"{books.debits}" == f"{books.credits}" == "93370.29"


def redrive_what_can_be_booked(backbone: BackboneProcess, demo: DemoCopy, wanted: Expected) -> None:
    """What the operator does: adds the account, looks which cause it is about, and redrives that cause."""
    with psycopg.connect(demo.accounting_dsn) as connection:
        connection.execute("INSERT INTO chart_of_accounts VALUES (%s)", [NOT_IN_CHART])
    causes = json.loads(backbone.command("dlq", "list", "-o", "json").stdout)
    (cause,) = [group for group in causes if "chart" in group["message"] or "account_fkey" in group["message"]]
    assert (cause["letters"], cause["code"]) == (len(wanted.not_yet), SPENT_ACCOUNT)
    backbone.until_ready()
    done = backbone.command("dlq", "redrive", "--cause", cause["cause"], "--execute", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["delivered"] == len(wanted.not_yet)
    left = json.loads(backbone.command("dlq", "list", "--letters", "-o", "json").stdout)
    assert {letter["key"] for letter in left} == wanted.never
    assert len(left) == len(wanted.never)
