"""Delivers webhooks as a real provider does: at a rate, many at once, again and again until they are taken.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp

from mainstem.testing.payment_provider.baskets import Basket
from mainstem.testing.payment_provider.signing import sign

GONE = 410
_MAY_PASS = frozenset({408, 409, 425, 429})


class DeliverySummary(NamedTuple):
    """How a delivery went, in webhooks; `retried` counts the attempts after the first ones."""

    delivered: int
    retried: int
    refused: int


@dataclass(frozen=True, slots=True)
class PaymentProvider:
    """How patient the provider is. It backs off with jitter, from `first_retry_s` to `longest_retry_s`, doubling."""

    first_retry_s: float = 0.1
    longest_retry_s: float = 5.0
    give_up_after_s: float = 300.0
    attempts_when_refused: int = 3
    """Attempts when the receiver says that the request is wrong (4xx other than 408, 409, 425 and 429)."""
    timeout_s: float = 30.0

    async def deliver(
        self,
        baskets: Iterable[Basket],
        *,
        url: str,
        secret: str,
        rate: float | None = None,
        in_flight: int = 64,
        on_delivered: Callable[[Basket], None] | None = None,
    ) -> DeliverySummary:
        """Returns when every basket was taken (2xx) or given up.

        `rate` is in baskets a second (None: as fast as they are taken), kept from the start on: after a pause of the
        receiver what was missed is sent at once. After a 410 nothing more is sent; all that is left counts as refused.
        """
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        connector = aiohttp.TCPConnector(limit=in_flight)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            delivery = _Delivery(self, session, url, secret, on_delivered or _ignore)
            waiting, pace = iter(baskets), _Pace(rate)
            async with asyncio.TaskGroup() as lanes:
                for _ in range(in_flight):
                    lanes.create_task(delivery.run(waiting, pace))
        return DeliverySummary(delivery.delivered, delivery.retried, delivery.refused)


class _Pace:
    """Gives out moments to send at, `rate` a second."""

    def __init__(self, rate: float | None) -> None:
        self._step_s = 1 / rate if rate else 0.0
        self._next_s: float | None = None

    async def turn(self) -> None:
        now_s = time.monotonic()
        mine_s = now_s if self._next_s is None else self._next_s
        self._next_s = mine_s + self._step_s
        if self._step_s and mine_s > now_s:
            await asyncio.sleep(mine_s - now_s)


class _Answer(NamedTuple):
    """What the receiver said: no status when it said nothing."""

    status: int | None
    retry_after_s: float = 0.0

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def blames_the_request(self) -> bool:
        return self.status is not None and 400 <= self.status < 500 and self.status not in _MAY_PASS


class _Delivery:
    """One call of `deliver`: its counts, and whether the receiver has gone."""

    def __init__(
        self,
        patience: PaymentProvider,
        session: aiohttp.ClientSession,
        url: str,
        secret: str,
        on_delivered: Callable[[Basket], None],
    ) -> None:
        self.delivered = self.retried = self.refused = 0
        self._patience = patience
        self._session = session
        self._url = url
        self._secret = secret
        self._on_delivered = on_delivered
        self._gone = False

    async def run(self, waiting: Iterator[Basket], pace: _Pace) -> None:
        """One lane: takes the next basket as soon as its last one is settled."""
        for basket in waiting:
            if not self._gone:
                await pace.turn()
            if await self._is_delivered(basket):
                self.delivered += 1
                self._on_delivered(basket)
            else:
                self.refused += 1

    async def _is_delivered(self, basket: Basket) -> bool:
        body = basket.body()
        ends_at_s = time.monotonic() + self._patience.give_up_after_s
        attempts = 0
        while not self._gone:
            answer = await self._attempt(basket.webhook_id, body)
            attempts += 1
            if answer.is_taken:
                return True
            self._gone |= answer.status == GONE
            wait_s = max(answer.retry_after_s, self._back_off_s(attempts))
            if self._is_given_up(answer, attempts) or time.monotonic() + wait_s > ends_at_s:
                return False
            await asyncio.sleep(wait_s)
            self.retried += not self._gone
        return False

    def _is_given_up(self, answer: _Answer, attempts: int) -> bool:
        return self._gone or (answer.blames_the_request and attempts >= self._patience.attempts_when_refused)

    def _back_off_s(self, attempts: int) -> float:
        longest_s = min(self._patience.longest_retry_s, self._patience.first_retry_s * 2 ** min(attempts - 1, 30))
        return random.uniform(longest_s / 2, longest_s)  # noqa: S311 - jitter

    async def _attempt(self, webhook_id: str, body: bytes) -> _Answer:
        headers = {"content-type": "application/json", **sign(self._secret, webhook_id, int(time.time()), body)}
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                await response.read()
                return _Answer(response.status, _retry_after_s(response.headers.get("retry-after", "")))
        except (aiohttp.ClientError, TimeoutError, OSError):
            return _Answer(None)


def _retry_after_s(header: str) -> float:
    """Seconds to wait, from a number or a date (RFC 9110, 10.2.3); 0 when there is neither."""
    if header.isascii() and header.isdecimal():
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


def _ignore(_: Basket) -> None:
    """Nobody asked to be told."""
