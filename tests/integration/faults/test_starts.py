"""A backbone that is started before what it needs is there, or before it is set up: it waits, says so, and then runs."""

from __future__ import annotations

import asyncio
import json
import signal

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.backbone_process import until
from tests.integration.faults.conftest import Company

pytestmark = pytest.mark.stack


async def test_a_backbone_that_starts_before_its_dependencies_waits_for_each_of_them(company: Company) -> None:
    backbone, doors = company.backbone, company.doors
    for door in doors.all():
        door.refuse()

    backbone.start()
    pulled = f"{company.demo.integration}.catalog"
    for part in (company.sink, pulled, "publish"):
        await asyncio.to_thread(until, lambda p=part: backbone.says(p, "waiting"), what=backbone.parts)
    assert backbone.get("/readyz")[0] == 503
    assert backbone.get("/healthz")[0] == 200
    assert await asyncio.to_thread(backbone.get, f"/webhooks/{company.demo.integration}/nobody") == (405, ANY_BODY)

    doors.kafka.resume()
    for part in ("publish", company.sink):
        await asyncio.to_thread(until, lambda p=part: backbone.says(p, "waiting", "MS-302"), what=backbone.parts)

    doors.registry.resume()
    await asyncio.to_thread(until, lambda: backbone.says(company.sink, "waiting", "MS-303"), what=backbone.parts)
    sold = await company.sell(20)

    doors.postgres.resume()
    await asyncio.to_thread(until, lambda: company.booked() >= set(sold), what=backbone.parts)
    await asyncio.to_thread(backbone.until_ready)
    assert len(sold) == 20
    assert company.dead_letters() == 0
    assert "Traceback" not in backbone.log()
