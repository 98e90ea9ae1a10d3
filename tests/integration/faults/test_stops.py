"""A backbone that is told to stop finishes what is under way, leaves its groups at once, and does nothing twice."""

from __future__ import annotations

import asyncio
import signal
from time import monotonic

import pytest

from mainstem.project import names
from tests.backbone_process import until
from tests.integration.faults.conftest import Company, until_says

pytestmark = pytest.mark.stack

LATE_S = 15.0


def members(company: Company) -> dict[str, int]:
    sources = names.sources_group(company.demo.integration)
    groups = [f"mainstem.{company.sink}", names.stream_group(company.demo.stream), sources]
    with company.demo.services() as services:
        return {name: services.admin.group(name).members for name in groups}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_stop_in_the_middle_finishes_leaves_and_loses_nothing(
    company: Company, number: signal.Signals, code: int
) -> None:
    backbone = company.backbone
    await asyncio.to_thread(backbone.start().until_ready)
    sending = asyncio.create_task(company.sell(600))
    await asyncio.to_thread(until, company.booked)
    streams = backbone.everybody()[1:]
    assert len(streams) == 1

    assert await asyncio.to_thread(backbone.stop, number) == code

    assert not [process for process in streams if process.is_running()]
    # A member that left without a word would be there until its session ends, ten seconds later.
    assert set((await asyncio.to_thread(members, company)).values()) == {0}
    assert "draining" in backbone.log()
    assert [line for line in backbone.log_lines() if line["level"] not in {"info", "debug"}] == []
    await asyncio.to_thread(backbone.start().until_ready)
    sold = await sending
    await asyncio.to_thread(until, lambda: company.booked() == set(sold), what=backbone.parts)
    assert len(sold) == 600
    assert company.dead_letters() == 0


async def test_a_stop_while_everything_is_away_does_not_wait_for_it(company: Company) -> None:
    backbone = company.backbone
    await asyncio.to_thread(backbone.start().until_ready)
    sold = await company.sell(10)
    await asyncio.to_thread(until, lambda: company.booked() == set(sold))
    for door in company.doors.all():
        door.refuse()
    await until_says(backbone, "kafka", "waiting", "MS-301")
    assert backbone.get("/readyz")[0] == 503

    began = monotonic()
    assert await asyncio.to_thread(backbone.stop) == 0
    assert monotonic() - began < LATE_S
    talk = [line for line in backbone.log().splitlines() if not line.startswith("{")]
    assert [line.partition(" ")[0] for line in talk] == ["listening", "draining"]
