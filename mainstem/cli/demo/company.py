"""Sets the demo company up: its accounting database, its secrets, and a backbone that has never seen a basket."""

from __future__ import annotations

import base64
import csv
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from mainstem import devstack
from mainstem.app.apply import find_changes, make_changes, wanted_topics
from mainstem.app.services import Services
from mainstem.errors import BAD_PROJECT, Misconfigured
from mainstem.project import names
from mainstem.project.model import Project

INTEGRATION: Final = "payments-to-accounting"
DATABASE: Final = "accounting"
DATA: Final = "JOURNEY_DATA"
BANK: Final = "BANK"
UNKNOWN: Final = "UNKNOWN"
NOT_IN_CHART: Final = "SPIRITS"
"""The account that the chart does not have yet: 13 baskets are refused until an operator adds it."""
ACCOUNT_CONSTRAINT: Final = "journal_line_account_fkey"


@dataclass(frozen=True)
class Company:
    """What the demo talks to besides the backbone."""

    data: Path
    accounting_dsn: str
    signing_secret: str

    def add_account(self, account: str) -> None:
        """What the operator does about the refused baskets."""
        with psycopg.connect(self.accounting_dsn) as connection:
            connection.execute("INSERT INTO chart_of_accounts VALUES (%s) ON CONFLICT DO NOTHING", [account])


def check_is_demo(folder: Path) -> None:
    """Raises Misconfigured when the folder is not the demo company's project."""
    if not (folder / "integrations" / f"{INTEGRATION}.yaml").exists():
        raise Misconfigured(
            f"{folder.resolve().name} is not the demo company's project: it has no integrations/{INTEGRATION}.yaml",
            code=BAD_PROJECT,
            fix="run it in a checkout of mainstem, or name one with --project",
        )


def found_company(folder: Path, stack: devstack.Stack, data: Path) -> Company:
    """Gives the company an empty accounting database, and writes the secrets that its project refers to."""
    dsn = devstack.recreate_database(stack.postgres_dsn, DATABASE)
    with psycopg.connect(dsn) as connection:
        connection.execute((folder / "integrations" / "accounting.sql").read_text().encode())
        accounts = sorted((_departments(data) | {BANK, UNKNOWN}) - {NOT_IN_CHART})
        connection.cursor().executemany("INSERT INTO chart_of_accounts VALUES (%s)", [(name,) for name in accounts])
    signing = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    _write_secrets(folder / ".mainstem" / "secrets", {"accounting_dsn": dsn, "till_signing": signing})
    return Company(data, dsn, signing)


def start_clean(services: Services) -> None:
    """Deletes the project's topics and groups, makes them anew; blocks. Raises Refused while a backbone uses them."""
    project = services.project
    services.admin.delete_groups(_groups(project))
    own = [spec.name for spec in wanted_topics(project) if not names.is_internal(spec.name)]
    services.admin.delete(own)
    make_changes(services, find_changes(services))


def _groups(project: Project) -> list[str]:
    return [sink.group for sink in project.sinks] + [names.stream_group(name) for name in project.streams]


def _departments(data: Path) -> set[str]:
    path = data / "products.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return {row["department"] for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise Misconfigured(f"{path} is not a catalogue of products: {error}", code=BAD_PROJECT) from None


def _write_secrets(folder: Path, values: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, value in values.items():
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(value)
