"""One settled payment becomes one double entry: a debit to the bank, a credit to each department that sold."""

from collections.abc import Iterator
from decimal import Decimal

from mainstem import Event, Row

BANK = "BANK"


def journal_lines(payment: Event) -> Iterator[Row]:
    paid = payment.data
    entry = {"payment_id": paid["payment_id"], "booked_at": paid["paid_at"]}
    sold = [total for total in paid["departments"] if total["net"]]
    discount = sum((total["discount"] for total in paid["departments"]), Decimal(0))
    # A basket that sums to zero still gives its debit of zero: to refuse it is the accounting system's decision.
    yield {**entry, "line_no": 0, "account": BANK, "debit": paid["net"], "credit": Decimal(0), "discount": discount}
    for line_no, total in enumerate(sold, start=1):
        yield {
            **entry,
            "line_no": line_no,
            "account": total["department"],
            "debit": Decimal(0),
            "credit": total["net"],
            "discount": total["discount"],
        }
