"""Proxies that fail on demand. They live in tests/proxies; this is their one address."""

from __future__ import annotations

from tests.proxies.kafka import Held, KafkaProxy
from tests.proxies.kafka_wire import Api
from tests.proxies.tcp import HOST, TcpProxy, Way

__all__ = ["HOST", "Api", "Held", "KafkaProxy", "TcpProxy", "Way"]
