"""A copy of the demo project whose way to Kafka, the registry and PostgreSQL leads through doors that can be shut."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mainstem.devstack import Stack
from mainstem.event import Partition
from mainstem.testing.payment_provider import Basket, PaymentProvider
from tests.backbone_process import BackboneProcess, until
from tests.demo_copy import TILL_SECRET, DemoCopy, copy_demo
from tests.tcp_proxy import KafkaProxy, TcpProxy

PRODUCTS = "product_id,department\n1,GROCERY\n2,DRUG GM\n"
PATIENT = PaymentProvider(first_retry_s=0.05, longest_retry_s=0.5)


@dataclass(frozen=True)
class Doors:
    """What the backbone needs, each behind a proxy."""

    kafka: KafkaProxy
    registry: TcpProxy
    postgres: TcpProxy

    def all(self) -> tuple[TcpProxy, ...]:
        return self.kafka, self.registry, self.postgres


@dataclass(frozen=True)
class Company:
    """One copy of the demo, a backbone for it, and the doors between that and everything else."""

    demo: DemoCopy
    doors: Doors
    backbone: BackboneProcess

    @property
    def sink(self) -> str:
        return f"{self.demo.integration}.journal"

    @property
    def till(self) -> str:
        return f"{self.demo.integration}.till"

    async def sell(self, count: int, provider: PaymentProvider = PATIENT) -> list[str]:
        """Sends baskets of one line; gives the ids of those that were acknowledged."""
        taken: list[str] = []
        await provider.deliver(
            [basket() for _ in range(count)],
            url=f"{self.backbone.url}/webhooks/{self.demo.integration}/till",
            secret=TILL_SECRET,
            on_delivered=lambda sold: taken.append(sold.basket_id),
        )
        return taken

    def booked(self) -> set[str]:
        with psycopg.connect(self.demo.accounting_dsn) as connection:
            return {row[0] for row in connection.execute("SELECT payment_id FROM journal_line WHERE line_no = 0")}

    def runs(self, part: str) -> float | None:
        return self.backbone.metric(f'mainstem_part_running{{part="{part}"}}')

    def dead_letters(self) -> int:
        with self.demo.services() as services:
            ends = services.admin.ends([Partition(self.demo.dlq, number) for number in range(6)])
        return sum(ends.values())


async def until_says(backbone: BackboneProcess, part: str, state: str, code: str | None = None) -> None:
    await asyncio.to_thread(until, partial(backbone.says, part, state, code), what=backbone.parts)


def basket() -> Basket:
    line = {"product_id": "1", "quantity": 1, "sales_value": f"{Decimal('2.50')}", "retail_disc": "0.00"}
    discounts = {"coupon_disc": "0.00", "coupon_match_disc": "0.00"}
    return Basket(uuid.uuid4().hex, "household", "store", datetime.now(UTC), [{**line, **discounts}])


@contextmanager
def opened(folder: Path, stack: Stack) -> Iterator[Company]:
    """A company whose backbone is not started yet."""
    demo = copy_demo(folder, stack)
    (folder / "products.csv").write_text(PRODUCTS)
    kafka_host, _, kafka_port = stack.bootstrap.rpartition(":")
    registry = urlsplit(stack.registry_url)
    database = conninfo_to_dict(demo.accounting_dsn)
    with (
        KafkaProxy(kafka_host, int(kafka_port)) as kafka,
        TcpProxy(str(registry.hostname), int(registry.port or 80)) as schemas,
        TcpProxy(str(database["host"]), int(database["port"] or 5432)) as postgres,
        socket.socket() as listener,
    ):
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
        listener.close()
        env = {
            "JOURNEY_DATA": str(folder),
            "MAINSTEM_KAFKA__BOOTSTRAP": kafka.address,
            "MAINSTEM_REGISTRY__URL": f"http://{schemas.address}{registry.path}",
            "MAINSTEM_SECRET_ACCOUNTING_DSN": make_conninfo(demo.accounting_dsn, port=postgres.port),
        }
        with BackboneProcess(folder, port, env=env) as backbone:
            yield Company(demo, Doors(kafka, schemas, postgres), backbone)


@pytest.fixture
def company(tmp_path: Path, stack: Stack) -> Iterator[Company]:
    """Its backbone is not started yet."""
    with opened(tmp_path, stack) as made:
        yield made


@pytest.fixture(scope="module")
def shared_company(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Iterator[Company]:
    with opened(tmp_path_factory.mktemp("company"), stack) as made:
        made.backbone.start().until_ready()
        yield made


@pytest.fixture
def running(shared_company: Company) -> Company:
    """One whose backbone runs and is well; a test may shut its doors, the next one finds them open again."""
    for door in shared_company.doors.all():
        door.resume()
    shared_company.backbone.until_ready()
    return shared_company
