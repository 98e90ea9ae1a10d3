"""The week's baskets on their way into a copy of the demo project, and what has become of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mainstem.cli.demo.books import Expected, count_payments
from mainstem.cli.demo.company import BANK, NOT_IN_CHART, UNKNOWN
from mainstem.devstack import Stack
from mainstem.kafka.reader import reading
from mainstem.testing.payment_provider import Basket, PaymentProvider
from tests.backbone_process import BackboneProcess
from tests.demo_copy import REPOSITORY, TILL_SECRET, DemoCopy, copy_demo

DATA = REPOSITORY / "data" / "journey"
PROVIDER = PaymentProvider(first_retry_s=0.05, longest_retry_s=0.5)


def open_books(folder: Path, stack: Stack, wanted: Expected) -> DemoCopy:
    """The demo project with the accounts of the week in its chart, but one."""
    accounts = {account for entry in wanted.books.entries.values() for account in entry}
    return copy_demo(folder, stack, chart=tuple(sorted((accounts | {BANK, UNKNOWN}) - {NOT_IN_CHART})))


def backbone_of(demo: DemoCopy, port: int) -> BackboneProcess:
    return BackboneProcess(demo.folder, port, env={"JOURNEY_DATA": str(DATA)})


def _ignore(_: Basket) -> None:
    """Nobody counts."""


async def send(
    share: Sequence[Basket],
    backbone: BackboneProcess,
    demo: DemoCopy,
    on_delivered: Callable[[Basket], None] = _ignore,
) -> int:
    """Delivers these as the provider does; how many were taken in the end."""
    url = f"{backbone.url}/webhooks/{demo.integration}/till"
    sent = await PROVIDER.deliver(share, url=url, secret=TILL_SECRET, in_flight=16, on_delivered=on_delivered)
    return sent.delivered


def letter_keys(demo: DemoCopy) -> list[str]:
    """The payment of each dead letter that the topic holds."""
    with demo.services() as services, reading(services.config) as reader:
        found = [message for batch in reader.read(reader.whole([demo.dlq])) for message in batch]
    return [(message.key() or b"").decode() for message in found]


def are_settled(demo: DemoCopy, baskets: int) -> bool:
    """Whether so many are booked or dead letters."""
    return count_payments(demo.accounting_dsn) + len(letter_keys(demo)) >= baskets
