"""Opens the target that a plan names: the sink's own, or a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from mainstem.app.replay import replay_delivery
from mainstem.app.services import Services
from mainstem.cli.decoded import Decoded
from mainstem.cli.opened import find_sink
from mainstem.cli.output import as_plain
from mainstem.codec.message import Message
from mainstem.recover.replay import Into, Job, LinesFile


@asynccontextmanager
async def opened_target(services: Services, job: Job) -> AsyncIterator[Into]:
    """Raises Misconfigured where the sink is not (any more) what the plan was made for."""
    if job.plan.into is None:
        async with replay_delivery(services, find_sink(services.project, job.plan.sink), job.id) as deliver:
            yield Into(deliver)
        return
    decoded = Decoded(services, reveal=job.plan.into.reveal)

    def line(message: Message) -> bytes:
        """As `topic tail -o ndjson` prints it."""
        return orjson.dumps(as_plain(decoded.row(message)), option=orjson.OPT_PASSTHROUGH_DATETIME)

    with LinesFile(Path(job.plan.into.path), job.id, line) as file:
        yield Into(file.deliver, file.begin, file.finish)
