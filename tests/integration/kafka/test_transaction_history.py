"""A source's life on a bad network: one fault after the other, and in the end every record once, in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator

import pytest

from mainstem.devstack import Stack
from mainstem.errors import Fenced, Unreachable
from mainstem.kafka.transaction import TransactionalProducer
from tests.integration.kafka.transaction_rig import Rig, rig_on
from tests.tcp_proxy import Api

pytestmark = pytest.mark.stack

SIZE = 4
TIMEOUT_MS = 1000
CONCURRENT = 51
INVALID_STATE = 48
UNKNOWN_PRODUCER = 59


@pytest.fixture
def rig(stack: Stack) -> Iterator[Rig]:
    with rig_on(stack) as made:
        yield made


def faults(rig: Rig) -> list[Callable[[], object]]:
    proxy = rig.proxy
    return [
        lambda: None,
        proxy.cut,
        lambda: proxy.hold_request(Api.END_TXN),
        lambda: [proxy.hold_request(Api.END_TXN) for _ in range(2)],
        lambda: proxy.drop_answer(Api.END_TXN, times=2),
        lambda: proxy.hold_request(Api.ADD_PARTITIONS_TO_TXN),
        lambda: proxy.hold_answer(Api.PRODUCE),
        lambda: proxy.drop_answer(Api.END_TXN, cut=True),
        lambda: proxy.drop_answer(Api.PRODUCE, cut=True),
        lambda: proxy.answer_with(Api.END_TXN, INVALID_STATE),
        lambda: proxy.answer_with(Api.ADD_PARTITIONS_TO_TXN, UNKNOWN_PRODUCER),
        lambda: proxy.answer_with(Api.INIT_PRODUCER_ID, CONCURRENT),
        lambda: proxy.truncate(3),
    ]


async def work(rig: Rig, producer: TransactionalProducer, strikes: list[Callable[[], object]]) -> None:
    """As the users of the producer work: its position is read whenever there was any doubt."""
    position: int | None = None
    while position is None or strikes:
        try:
            if position is None:
                await producer.renew()
                position = len(await asyncio.to_thread(rig.committed))
                continue
            strikes.pop()()
            await producer.commit(rig.batch(*range(position, position + SIZE)))
            position += SIZE
        except Unreachable:
            position = None
            rig.proxy.clear()
            rig.proxy.release_all()
        except Fenced:
            position = None


async def test_every_record_is_there_once_whatever_the_network_did(rig: Rig) -> None:
    strikes = faults(rig)
    random.Random(11).shuffle(strikes)
    async with rig.producer(timeout_ms=TIMEOUT_MS) as producer:
        await work(rig, producer, strikes)
        rig.proxy.clear()
        await producer.renew()
        position = len(rig.committed())
        await producer.commit(rig.batch(*range(position, position + SIZE)))
    assert rig.committed() == list(range(position + SIZE))
    assert position >= SIZE * 5
