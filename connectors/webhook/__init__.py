"""Webhooks in: one signed HTTP request becomes one event."""

from connectors.webhook.source import WebhookSource

__all__ = ["WebhookSource"]
