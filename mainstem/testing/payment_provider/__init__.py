"""Stands in for the payment provider: sends the baskets of a data folder as signed Standard Webhooks."""

from mainstem.testing.payment_provider.baskets import Basket, baskets
from mainstem.testing.payment_provider.delivery import DeliverySummary, PaymentProvider
from mainstem.testing.payment_provider.signing import sign

__all__ = ["Basket", "DeliverySummary", "PaymentProvider", "baskets", "sign"]
