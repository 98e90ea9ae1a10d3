"""Each error of a broker has the outcome that is specified for it. The broker is real, its answers are changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from mainstem.devstack import Stack
from mainstem.errors import Fenced, MainstemError, Misconfigured, Rejected, Unreachable
from mainstem.kafka.transaction_state import State
from tests.integration.kafka.transaction_rig import DEADLINE_S, Rig, rig_on
from tests.tcp_proxy import Api

pytestmark = pytest.mark.stack

MESSAGE_TOO_LARGE = 10
LOADING = 14
NOT_COORDINATOR = 16
TOPIC_FORBIDDEN = 29
OLD_EPOCH = 47
INVALID_STATE = 48
TIMEOUT_REFUSED = 50
CONCURRENT = 51
ID_FORBIDDEN = 53
UNKNOWN_PRODUCER = 59
FENCED = 90
TAKEN = (Fenced, State.FENCED)
SPENT = (Unreachable, State.SPENT)
ABORTED = (Unreachable, State.READY)


class Case(NamedTuple):
    """What a commit raises, and how it leaves its producer. The records are seen as a whole, or not at all."""

    api: Api
    error: int
    raised: type[MainstemError]
    state: State


@pytest.fixture(scope="module")
def rig(stack: Stack) -> Iterator[Rig]:
    with rig_on(stack) as made:
        yield made


@pytest.mark.parametrize("error", [LOADING, NOT_COORDINATOR, CONCURRENT])
@pytest.mark.parametrize("api", [Api.INIT_PRODUCER_ID, Api.ADD_PARTITIONS_TO_TXN, Api.END_TXN])
async def test_a_passing_error_is_waited_out(rig: Rig, api: Api, error: int) -> None:
    rig.proxy.answer_with(api, error)
    before = rig.committed()
    async with rig.producer() as producer:
        await producer.commit(rig.batch(1, 2, 3, 4))
    assert rig.committed() == sorted([*before, 1, 2, 3, 4])


@pytest.mark.parametrize(
    "case",
    [
        Case(Api.END_TXN, FENCED, *TAKEN),
        Case(Api.END_TXN, OLD_EPOCH, *TAKEN),
        Case(Api.END_TXN, INVALID_STATE, *SPENT),
        Case(Api.END_TXN, UNKNOWN_PRODUCER, *SPENT),
        Case(Api.END_TXN, ID_FORBIDDEN, Misconfigured, State.SPENT),
        Case(Api.ADD_PARTITIONS_TO_TXN, FENCED, *TAKEN),
        Case(Api.ADD_PARTITIONS_TO_TXN, OLD_EPOCH, *TAKEN),
        Case(Api.ADD_PARTITIONS_TO_TXN, INVALID_STATE, *SPENT),
        Case(Api.ADD_PARTITIONS_TO_TXN, UNKNOWN_PRODUCER, *ABORTED),
        Case(Api.ADD_PARTITIONS_TO_TXN, ID_FORBIDDEN, Misconfigured, State.SPENT),
        Case(Api.ADD_PARTITIONS_TO_TXN, TOPIC_FORBIDDEN, Misconfigured, State.READY),
        Case(Api.PRODUCE, MESSAGE_TOO_LARGE, Rejected, State.READY),
        Case(Api.PRODUCE, UNKNOWN_PRODUCER, *ABORTED),
        Case(Api.PRODUCE, OLD_EPOCH, *TAKEN),
    ],
    ids=lambda case: f"{case.api.name}-{case.error}",
)
async def test_an_error_has_the_outcome_that_is_specified_for_it(
    rig: Rig, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An end that takes long costs the producer, whatever the answer (test_transaction_delays.py); not in this test.
    monkeypatch.setattr("mainstem.kafka.transaction_run.LATE_S", DEADLINE_S)
    before = rig.committed()
    async with rig.producer() as producer:
        rig.proxy.answer_with(case.api, case.error)
        with pytest.raises(case.raised):
            await producer.commit(rig.batch(1, 2, 3, 4))
        assert producer.state is case.state
        rig.proxy.clear()
        await producer.renew()
        seen = rig.committed()
        await producer.commit(rig.batch(5, 6, 7, 8))
    assert seen in (before, sorted([*before, 1, 2, 3, 4]))
    assert rig.committed() == sorted([*seen, 5, 6, 7, 8])


@pytest.mark.parametrize(
    ("error", "raised"),
    [(FENCED, Fenced), (OLD_EPOCH, Fenced), (ID_FORBIDDEN, Misconfigured), (TIMEOUT_REFUSED, Misconfigured)],
)
async def test_an_id_that_is_not_given_to_us_is_not_used(rig: Rig, error: int, raised: type[MainstemError]) -> None:
    rig.proxy.answer_with(Api.INIT_PRODUCER_ID, error)
    with pytest.raises(raised):
        async with rig.producer():
            pytest.fail("it was entered")
