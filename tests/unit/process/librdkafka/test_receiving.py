"""The consumer beside Faust's own services."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from mainstem.process.librdkafka import App


async def test_a_worker_that_is_asked_to_end_while_partitions_are_divided_ends_in_order() -> None:
    app = App("a", broker="librdkafka://127.0.0.1:9")
    app.rebalancing = True
    fetcher = cast(Any, app)._fetcher
    await fetcher.start()
    await asyncio.sleep(0)
    await fetcher.stop()
    assert not fetcher.crashed
