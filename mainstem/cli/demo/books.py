"""The books as they must be, worked out from the data files alone, and the books as they are."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import psycopg

from mainstem.cli.demo.company import BANK, NOT_IN_CHART, UNKNOWN

Amounts = tuple[Decimal, Decimal]
"""Debit and credit."""
Entry = dict[str, Amounts]
"""A payment's amounts by account."""
ZERO = Decimal(0)


@dataclass
class Books:
    """Entries by payment."""

    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        return sum(len(entry) for entry in self.entries.values())

    @property
    def debits(self) -> Decimal:
        return sum((debit for entry in self.entries.values() for debit, _ in entry.values()), ZERO)

    @property
    def credits(self) -> Decimal:
        return sum((credit for entry in self.entries.values() for _, credit in entry.values()), ZERO)


@dataclass(frozen=True)
class Expected:
    """What the week must come to."""

    baskets: int
    books: Books
    never: frozenset[str]
    """Baskets that sum to zero: they can never be booked."""
    not_yet: frozenset[str]
    """Baskets that are refused until their account is in the chart."""


def expected(data: Path) -> Expected:
    """Reads the data folder with nothing but a CSV reader."""
    departments = {row["product_id"]: row["department"] for row in _rows(data / "products.csv")}
    sold: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for row in _rows(data / "transactions.csv"):
        department = departments.get(row["product_id"], UNKNOWN)
        sold[row["basket_id"]][department] += Decimal(row["sales_value"]).quantize(Decimal("0.01"))
    books = Books()
    for basket, nets in sold.items():
        total = sum(nets.values(), ZERO)
        if total:
            entry = {department: (ZERO, net) for department, net in nets.items() if net}
            books.entries[basket] = {BANK: (total, ZERO), **entry}
    never = frozenset(sold) - books.entries.keys()
    not_yet = frozenset(basket for basket, entry in books.entries.items() if NOT_IN_CHART in entry)
    return Expected(len(sold), books, never, not_yet)


def booked(dsn: str) -> Books:
    """What stands in the accounting database."""
    books = Books()
    with psycopg.connect(dsn) as connection:
        for payment, account, debit, credit in connection.execute(
            "SELECT payment_id, account, debit, credit FROM journal_line"
        ):
            books.entries.setdefault(payment, {})[account] = (debit, credit)
    return books


def count_payments(dsn: str) -> int:
    """How many payments are booked."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM journal_line WHERE line_no = 0").fetchone()
    return int(row[0]) if row else 0


def differences(wanted: Books, found: Books) -> list[str]:
    """Payments that are missing, too many or booked otherwise, one line each; at most ten are named."""
    wrong = [
        f"payment {payment}: {_named(wanted, payment)} expected, {_named(found, payment)} booked"
        for payment in sorted(wanted.entries.keys() | found.entries.keys())
        if wanted.entries.get(payment) != found.entries.get(payment)
    ]
    return wrong if len(wrong) <= 10 else [*wrong[:10], f"and {len(wrong) - 10} more"]


def _named(books: Books, payment: str) -> str:
    entry = books.entries.get(payment)
    if entry is None:
        return "nothing"
    return ", ".join(f"{account} {debit or -credit}" for account, (debit, credit) in sorted(entry.items()))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
