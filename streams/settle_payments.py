"""Enriches each line of a basket with its product's department and sums net and discount per department."""

from decimal import Decimal

from mainstem import Event, Table, stream

UNKNOWN = "UNKNOWN"
DISCOUNTS = ("retail_disc", "coupon_disc", "coupon_match_disc")


@stream(
    reads="raw.till.basket.v1",
    writes="payments.payment_settled.v1",
    tables={"products": "raw.catalog.product.v1"},
)
def settle_payments(basket: Event, products: Table) -> Event:
    paid = basket.data
    net: dict[str, Decimal] = {}
    discount: dict[str, Decimal] = {}
    for line in paid["lines"]:
        product = products.get(line["product_id"])
        department = product["department"] if product else UNKNOWN
        net[department] = net.get(department, Decimal(0)) + line["sales_value"]
        given = sum((line[name] for name in DISCOUNTS), Decimal(0))
        discount[department] = discount.get(department, Decimal(0)) + given
    return basket.replace(
        key=paid["basket_id"],
        data={
            "payment_id": paid["basket_id"],
            "household_id": paid["household_id"],
            "store_id": paid["store_id"],
            "paid_at": paid["purchased_at"],
            "net": sum(net.values(), Decimal(0)),
            "departments": [{"department": name, "net": net[name], "discount": discount[name]} for name in sorted(net)],
        },
    )
