"""The demo project under names that nobody else uses: many tests share one Kafka and one PostgreSQL."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

import psycopg

from mainstem import devstack
from mainstem.app.apply import find_changes, make_changes
from mainstem.app.services import Services
from mainstem.project.load import load

REPOSITORY = Path(__file__).parent.parent
TILL_SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RENAMED = (
    ("payments-to-accounting", "payments-to-accounting-{}"),
    ("payments_to_accounting", "payments_to_accounting_{}"),
    ("settle_payments", "settle_payments_{}"),
    ("raw.till", "raw.till_{}"),
    ("raw.catalog", "raw.catalog_{}"),
    ("payments.payment_settled", "payments_{}.payment_settled"),
    ('"namespace": "payments"', '"namespace": "payments_{}"'),
)
CHART = ("BANK", "GROCERY", "DRUG GM", "UNKNOWN")


@dataclass(frozen=True)
class DemoCopy:
    """One copy: its folder, and the names that it goes by."""

    folder: Path
    tag: str
    accounting_dsn: str

    @property
    def integration(self) -> str:
        return f"payments-to-accounting-{self.tag}"

    @property
    def stream(self) -> str:
        return f"settle_payments_{self.tag}"

    @property
    def baskets(self) -> str:
        return f"raw.till_{self.tag}.basket.v1"

    @property
    def products(self) -> str:
        return f"raw.catalog_{self.tag}.product.v1"

    @property
    def payments(self) -> str:
        return f"payments_{self.tag}.payment_settled.v1"

    @property
    def dlq(self) -> str:
        return f"{self.integration}.journal.dlq"

    def services(self) -> Services:
        """Connections to the stack, for the project as it is on disk now; to be closed."""
        return Services.of(load(self.folder))

    def edit(self, path: str, old: str, new: str) -> None:
        """Changes a file of the copy."""
        file = self.folder / path
        text = file.read_text()
        assert old in text, f"{old!r} is not in {path}"
        file.write_text(text.replace(old, new))


def copy_demo(folder: Path, stack: devstack.Stack, *, chart: tuple[str, ...] = CHART) -> DemoCopy:
    """Copies the demo project, gives it a database of its own and makes its topics and schemas."""
    tag = uuid.uuid4().hex[:10]
    for name in ("mainstem.yaml", "integrations", "streams", "schemas"):
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    for file in [path for path in folder.rglob("*") if path.suffix in {".yaml", ".py", ".avsc"}]:
        file.write_text(_renamed(file.read_text(), tag))
    _move(folder, tag)
    dsn = devstack.recreate_database(stack.postgres_dsn, f"accounting_{tag}")
    with psycopg.connect(dsn) as connection:
        connection.execute((REPOSITORY / "integrations" / "accounting.sql").read_text())
        connection.cursor().executemany("INSERT INTO chart_of_accounts VALUES (%s)", [(name,) for name in chart])
    _write_settings(folder, stack, dsn)
    copy_ = DemoCopy(folder, tag, dsn)
    with copy_.services() as services:
        make_changes(services, find_changes(services))
    return copy_


def _renamed(text: str, tag: str) -> str:
    for old, new in RENAMED:
        text = text.replace(old, new.format(tag))
    return text


def _move(folder: Path, tag: str) -> None:
    schemas = folder / "schemas"
    (schemas / "raw" / "till").rename(schemas / "raw" / f"till_{tag}")
    (schemas / "raw" / "catalog").rename(schemas / "raw" / f"catalog_{tag}")
    (schemas / "payments").rename(schemas / f"payments_{tag}")
    (folder / "streams" / "settle_payments.py").rename(folder / "streams" / f"settle_payments_{tag}.py")
    integrations = folder / "integrations"
    (integrations / "payments-to-accounting.yaml").rename(integrations / f"payments-to-accounting-{tag}.yaml")
    (integrations / "payments_to_accounting.py").rename(integrations / f"payments_to_accounting_{tag}.py")


def _write_settings(folder: Path, stack: devstack.Stack, dsn: str) -> None:
    settings = folder / "mainstem.yaml"
    text = settings.read_text()
    text = text.replace("${stack:bootstrap}", stack.bootstrap).replace("${stack:registry_url}", stack.registry_url)
    settings.write_text(text.replace("port: 8420", "port: 0"))
    secrets = folder / ".mainstem" / "secrets"
    secrets.mkdir(parents=True, mode=0o700)
    for name, value in {"accounting_dsn": dsn, "till_signing": TILL_SECRET}.items():
        (secrets / name).write_text(value)
        (secrets / name).chmod(0o600)
