"""A plain sink for tests, as its author would write it: one POST per record. Copied into a test's project folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import urlsplit

import aiohttp

from mainstem import Guarantee, Mapped, Misconfigured, Rejected, Retryable, Sink, Unreachable, Write

RETRIED = {408, 425, 429, 500, 502, 503, 504}


class PostingSink(Sink):
    """Many requests at once; each has its event's id and revision as its idempotency key, at every attempt."""

    guarantee: ClassVar[Guarantee] = Guarantee.IDEMPOTENT
    in_flight: ClassVar[int] = 32
    records_per_write: ClassVar[int | None] = 1

    url: str
    """Where to post to."""
    timeout_s: float = 2.0
    """How long an answer is waited for."""

    def target_name(self) -> str:
        return urlsplit(self.url).netloc

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Write]:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.timeout_s)) as session:

            async def write(records: Sequence[Mapped]) -> None:
                for event, _ in records:
                    headers = {"Idempotency-Key": f"{event.id}/{event.revision}", "X-Writer": str(os.getpid())}
                    await self._post(session, {"id": event.id, "key": event.key}, headers)

            yield write

    async def _post(self, session: aiohttp.ClientSession, body: dict[str, object], headers: dict[str, str]) -> None:
        try:
            async with session.post(self.url, json=body, headers=headers, allow_redirects=False) as answer:
                _judge(answer.status, answer.headers.get("Retry-After"))
        except aiohttp.ClientConnectorError:
            raise Unreachable(f"nobody listens at {self.target_name()}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Retryable(f"no whole answer: {type(error).__name__}") from None


def _judge(status: int, after: str | None) -> None:
    if status < 300:
        return
    if status in RETRIED:
        raise Retryable(f"status {status}", after_s=float(after) if after else None)
    if status == 410:
        raise Misconfigured("the target is gone for good")
    raise Rejected(f"status {status}")
