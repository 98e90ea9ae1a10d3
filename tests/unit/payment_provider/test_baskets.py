"""The stand-in's baskets are those of the data, to the cent."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from mainstem.codec.coerce import Coercer
from mainstem.errors import Misconfigured
from mainstem.testing.payment_provider import Basket, baskets

ROOT = Path(__file__).parents[3]
HEADER = (
    "household_id,store_id,basket_id,product_id,quantity,sales_value,retail_disc,coupon_disc,coupon_match_disc,week,"
    "transaction_timestamp\n"
)
ROW = "2368,443,31198892591,844179,2,5.1,1.17,0.0,0.0,2,2017-01-02 05:05:54\n"


@pytest.fixture(scope="module")
def week() -> list[Basket]:
    return baskets(ROOT / "data/journey")


def test_the_week_is_what_its_readme_says(week: list[Basket]) -> None:
    assert len(week) == 2_919
    assert sum(len(basket.lines) for basket in week) == 31_454
    assert sum(basket.net for basket in week) == Decimal("93370.29")
    assert Counter(basket.net == 0 for basket in week)[True] == 8
    assert len({basket.store_id for basket in week}) == 138


def test_the_baskets_come_in_the_order_of_their_time(week: list[Basket]) -> None:
    times = [basket.purchased_at for basket in week]

    assert times == sorted(times)
    assert times[0] == datetime(2017, 1, 2, 5, 5, 54, tzinfo=UTC)


def test_each_basket_has_its_own_webhook_id(week: list[Basket]) -> None:
    assert len({basket.webhook_id for basket in week}) == len(week)
    assert week[0].webhook_id == f"msg_{week[0].basket_id}"


def test_each_body_fits_the_topics_schema_and_keeps_its_amounts(week: list[Basket]) -> None:
    coercer = Coercer(json.loads((ROOT / "schemas/raw/till/basket.v1.avsc").read_text()))

    for basket in week:
        data = coercer.coerce(json.loads(basket.body())["data"])
        assert data["purchased_at"] == basket.purchased_at
        assert sum(line["sales_value"] for line in data["lines"]) == basket.net


def test_money_is_text_with_two_places_and_time_is_utc(tmp_path: Path) -> None:
    (tmp_path / "transactions.csv").write_text(HEADER + ROW)

    (basket,) = baskets(tmp_path)

    assert json.loads(basket.body()) == {
        "type": "basket.paid",
        "timestamp": "2017-01-02T05:05:54Z",
        "data": {
            "basket_id": "31198892591",
            "household_id": "2368",
            "store_id": "443",
            "purchased_at": "2017-01-02T05:05:54Z",
            "lines": [
                {
                    "product_id": "844179",
                    "quantity": 2,
                    "sales_value": "5.10",
                    "retail_disc": "1.17",
                    "coupon_disc": "0.00",
                    "coupon_match_disc": "0.00",
                }
            ],
        },
    }


@pytest.mark.parametrize(
    "row",
    [
        ROW.replace("5.1,", "5.123,"),
        ROW.replace("5.1,", "NaN,"),
        ROW.replace("5.1,", "Infinity,"),
        ROW.replace(",2,5.1,", ",x,5.1,"),
        ROW.replace("2017-01-02", "yesterday"),
        ROW.replace("05:05:54", "05:05:55"),
        ROW.replace(",443,", ",444,"),
        "2368,443\n",
    ],
    ids=["three places", "not a number", "infinite", "quantity", "time", "other time", "other store", "too short"],
)
def test_a_line_that_is_not_one_is_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "transactions.csv").write_text(HEADER + ROW + row)

    with pytest.raises(Misconfigured, match="line 3"):
        baskets(tmp_path)


def test_a_missing_file_or_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        baskets(tmp_path)

    (tmp_path / "transactions.csv").write_text("basket_id\n1\n")
    with pytest.raises(Misconfigured, match="transaction_timestamp"):
        baskets(tmp_path)
