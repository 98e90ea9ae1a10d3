"""The HTTP server: webhooks and events in, health, metrics and state out."""

from mainstem.gateway.server import Gateway

__all__ = ["Gateway"]
