"""The project's way into Kafka in the engine's words."""

from __future__ import annotations

import ssl

from mainstem.process.engine import Login
from mainstem.project.connection import KafkaSettings


def login_of(kafka: KafkaSettings) -> Login | None:
    """SASL, where the project logs in with it."""
    if kafka.sasl_mechanism is None or kafka.sasl_username is None or kafka.sasl_password is None:
        return None
    return Login(kafka.sasl_mechanism, kafka.sasl_username, kafka.sasl_password.reveal())


def tls_of(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """TLS that checks the broker's name and certificate, where the project encrypts."""
    if not kafka.security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=kafka.ssl_ca_location)
    if kafka.ssl_certificate_location is not None:
        password = kafka.ssl_key_password.reveal() if kafka.ssl_key_password else None
        context.load_cert_chain(kafka.ssl_certificate_location, kafka.ssl_key_location, password)
    return context
