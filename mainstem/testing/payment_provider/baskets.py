"""The baskets of a data folder, as the payment provider knows them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson

from mainstem.errors import Misconfigured

_MONEY = ("sales_value", "retail_disc", "coupon_disc", "coupon_match_disc")
_CENT = Decimal("0.01")

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Basket:
    """What was paid for at a till: `lines` as the webhook carries them, money as text with two places."""

    basket_id: str
    household_id: str
    store_id: str
    purchased_at: datetime
    lines: list[Line]

    @property
    def head(self) -> tuple[str, str, datetime]:
        """Who, where and when: what all lines of a basket share."""
        return self.household_id, self.store_id, self.purchased_at

    @property
    def webhook_id(self) -> str:
        """The same for every attempt, so that a receiver can drop repeats."""
        return f"msg_{self.basket_id}"

    @property
    def net(self) -> Decimal:
        """What was paid, after discounts."""
        return sum((Decimal(line["sales_value"]) for line in self.lines), Decimal(0))

    def body(self) -> bytes:
        """The webhook's payload. `data` has exactly the fields of the topic raw.till.basket.v1."""
        purchased_at = self.purchased_at.isoformat().replace("+00:00", "Z")
        data = {
            "basket_id": self.basket_id,
            "household_id": self.household_id,
            "store_id": self.store_id,
            "purchased_at": purchased_at,
            "lines": self.lines,
        }
        return orjson.dumps({"type": "basket.paid", "timestamp": purchased_at, "data": data})


def baskets(folder: Path) -> list[Basket]:
    """The baskets of `transactions.csv` in the order in which they were paid.

    Raises Misconfigured when the file is missing, lacks a column, or a line is not what it should be.
    """
    path = folder / "transactions.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return sorted(_grouped(csv.DictReader(file), path), key=attrgetter("purchased_at", "basket_id"))
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None


def _grouped(rows: Iterable[dict[str, str]], path: Path) -> Iterable[Basket]:
    found: dict[str, Basket] = {}
    for number, row in enumerate(rows, start=2):
        try:
            fresh = _basket(row)
            basket = found.setdefault(fresh.basket_id, fresh)
            if basket.head != fresh.head:
                raise ValueError("a basket has one household, one store and one time")
            basket.lines.append(_line(row))
        except (KeyError, ValueError, ArithmeticError, TypeError) as error:
            raise Misconfigured(f"{path} line {number} is not a line of a basket: {error!r}") from None
    return found.values()


def _basket(row: dict[str, str]) -> Basket:
    # The data has no zone: it is taken for UTC.
    purchased_at = datetime.fromisoformat(row["transaction_timestamp"]).replace(tzinfo=UTC)
    return Basket(row["basket_id"], row["household_id"], row["store_id"], purchased_at, [])


def _line(row: dict[str, str]) -> Line:
    return {
        "product_id": row["product_id"],
        "quantity": int(row["quantity"]),
        **{field: _money(row[field]) for field in _MONEY},
    }


def _money(text: str) -> str:
    amount = Decimal(text)
    if amount != amount.quantize(_CENT):
        raise ValueError("money with more than two decimal places")
    return f"{amount:.2f}"
