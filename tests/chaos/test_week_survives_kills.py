"""A week of real payments while whoever carries them is killed again and again: the books stay exact."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from mainstem.cli.demo.books import Books, Expected, booked, differences, expected
from mainstem.cli.demo.company import NOT_IN_CHART
from mainstem.devstack import Stack
from mainstem.testing.payment_provider import Basket, baskets
from tests.backbone_process import BackboneProcess, until
from tests.chaos.week import DATA, are_settled, backbone_of, letter_keys, open_books, send
from tests.demo_copy import DemoCopy

pytestmark = pytest.mark.stack

KILLS_WITH_ALL_AT_WORK = 3
"""Each costs the ten seconds after which Kafka gives a dead member's partitions to its successor."""
KILLS_AT_THE_START = 7
JITTER_S = 0.3


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
    return open_books(tmp_path, stack, wanted)


def without(books: Books, left_out: frozenset[str]) -> Books:
    return Books({payment: entry for payment, entry in books.entries.items() if payment not in left_out})


class Lives:
    """One backbone that dies again and again with a share of the week on its way, and is started again."""

    def __init__(self, backbone: BackboneProcess, demo: DemoCopy, dice: random.Random) -> None:
        self._backbone = backbone
        self._demo = demo
        self._dice = dice
        self._taken: list[Basket] = []
        self._sending: list[asyncio.Task[int]] = []

    async def live(self, share: Sequence[Basket], *, flowing: bool) -> None:
        """Killed while webhooks come in; with `flowing` not before the sink has its partitions, and so at work too."""
        if flowing:
            await asyncio.to_thread(until, self._sink_is_at_work)
        self._begin(share)
        enough = len(self._taken) + self._dice.randrange(1, len(share) // 2)
        await asyncio.to_thread(until, lambda: len(self._taken) >= enough)
        await asyncio.sleep(self._dice.uniform(0, JITTER_S))
        await asyncio.to_thread(self._backbone.kill)
        await asyncio.to_thread(self._backbone.start)

    async def outlive(self, share: Sequence[Basket]) -> int:
        """The last life, which nobody ends; how many webhooks were taken in all of them."""
        self._begin(share)
        return sum(await asyncio.gather(*self._sending))

    def _begin(self, share: Sequence[Basket]) -> None:
        sending = send(share, self._backbone, self._demo, self._taken.append)
        self._sending.append(asyncio.create_task(sending))

    def _sink_is_at_work(self) -> bool:
        _, _, this_life = self._backbone.log().rpartition("listening on")
        return "partitions taken over" in this_life


async def test_ten_kills_in_the_week_leave_the_books_exact(
    demo: DemoCopy, week: list[Basket], wanted: Expected, free_port: int, dice: random.Random
) -> None:
    kinds = [True] * KILLS_WITH_ALL_AT_WORK + [False] * KILLS_AT_THE_START
    dice.shuffle(kinds)
    shares = [week[at :: len(kinds) + 1] for at in range(len(kinds) + 1)]
    with backbone_of(demo, free_port) as backbone:
        lives = Lives(backbone.start().until_ready(), demo, dice)
        for share, flowing in zip(shares, kinds, strict=False):
            await lives.live(share, flowing=flowing)
        assert await lives.outlive(shares[-1]) == len(week)
        await asyncio.to_thread(until, lambda: are_settled(demo, len(week)))
        refused = wanted.never | wanted.not_yet
        assert differences(without(wanted.books, refused), booked(demo.accounting_dsn)) == []
        assert sorted(letter_keys(demo)) == sorted(refused)
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
    assert (cause["letters"], cause["code"]) == (len(wanted.not_yet), "MS-105")
    backbone.until_ready()
    done = backbone.command("dlq", "redrive", "--cause", cause["cause"], "--execute", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["delivered"] == len(wanted.not_yet)
    left = json.loads(backbone.command("dlq", "list", "--letters", "-o", "json").stdout)
    assert {letter["key"] for letter in left} == wanted.never
    assert len(left) == len(wanted.never)
