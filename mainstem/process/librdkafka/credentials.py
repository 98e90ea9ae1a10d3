"""Faust's `broker_credentials` as properties of librdkafka, and which properties an app may not set."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from typing import Any, Final

from faust.auth import GSSAPICredentials, OAuthCredentials, SASLCredentials, SSLCredentials
from faust.exceptions import ImproperlyConfigured

_RANGE: Final = (
    "only range gives the partitions of one number in all topics to the same worker, on which tables and group_by "
    "rest; cooperative-sticky and uniform spread them"
)
_COMMITS: Final = "the engine commits what is done, and reads only what is committed"
OWN: Final[Mapping[str, str]] = {
    "partition.assignment.strategy": _RANGE,
    "group.remote.assignor": _RANGE,
    "bootstrap.servers": "it is App(broker=...)",
    "group.id": "it is the app's id",
    "group.instance.id": "it is made of EngineOptions(member=...)",
    "transactional.id": "it is made of EngineOptions(member=...)",
    "transaction.timeout.ms": "it is EngineOptions(transaction_timeout_s=...)",
    "group.protocol": "it is EngineOptions(group_protocol=...)",
    "session.timeout.ms": "it is App(broker_session_timeout=...)",
    "auto.offset.reset": "it is App(consumer_auto_offset_reset=...)",
    "enable.auto.commit": _COMMITS,
    "enable.auto.offset.store": _COMMITS,
    "isolation.level": _COMMITS,
    "enable.idempotence": "without it a record may be written twice, and out of order",
    "acks": "a record has to be on all replicas before its input is committed",
    "partitioner": "keys have to go where Kafka's Java clients, and tables, expect them",
    "error_cb": "the engine has to hear of errors itself",
    "on_delivery": "the engine has to hear of records that are refused itself",
    "delivery.report.only.error": "the engine has to hear of records that are refused itself",
}
"""Properties of the engine, each with the reason."""


def refuse_own(client: Iterable[str]) -> None:
    """Raises ValueError for a property that is the engine's."""
    for name in client:
        if name in OWN:
            raise ValueError(f"EngineOptions(client=...) may not set {name}: {OWN[name]}")


def properties(credentials: Any) -> dict[str, Any]:
    """What Faust's credentials are in librdkafka's words. Raises ImproperlyConfigured for what has none.

    A client's certificate cannot be seen in Python's SSL contexts, nor be taken out of them: it has to be among
    `EngineOptions(client=...)`.
    """
    if credentials is None:
        return {}
    if isinstance(credentials, SSLCredentials):
        return {"security.protocol": "SSL", **_tls(credentials.context)}
    if isinstance(credentials, SASLCredentials):
        return {**_sasl(credentials), **_login(credentials)}
    if isinstance(credentials, GSSAPICredentials):
        if credentials.kerberos_domain_name is not None:
            raise ImproperlyConfigured("librdkafka takes the Kerberos domain from the broker's name: leave it out")
        return {**_sasl(credentials), "sasl.kerberos.service.name": credentials.kerberos_service_name}
    if isinstance(credentials, OAuthCredentials):
        raise ImproperlyConfigured(
            "OAuthCredentials hold a token provider of aiokafka, which librdkafka cannot call. Give "
            "EngineOptions(client={'security.protocol': 'SASL_SSL', 'sasl.mechanisms': 'OAUTHBEARER', 'oauth_cb': ...})"
        )
    raise ImproperlyConfigured(f"{type(credentials).__name__} is not known: give EngineOptions(client={{...}}) instead")


def _sasl(credentials: Any) -> dict[str, Any]:
    tls = {} if credentials.ssl_context is None else _tls(credentials.ssl_context)
    return {
        "security.protocol": credentials.protocol.value,
        "sasl.mechanisms": credentials.mechanism.value,
        **tls,
    }


def _login(credentials: Any) -> dict[str, Any]:
    if credentials.username is None or credentials.password is None:
        raise ImproperlyConfigured("SASLCredentials need a username and a password")
    return {"sasl.username": credentials.username, "sasl.password": credentials.password}


def _tls(context: ssl.SSLContext) -> dict[str, Any]:
    """Whom to trust. Without certificates in the context librdkafka trusts whom the machine trusts."""
    found: dict[str, Any] = {}
    if authorities := context.get_ca_certs(binary_form=True):
        found["ssl.ca.pem"] = "".join(map(ssl.DER_cert_to_PEM_cert, authorities))
    if context.verify_mode == ssl.CERT_NONE:
        found["enable.ssl.certificate.verification"] = False
    if not context.check_hostname:
        found["ssl.endpoint.identification.algorithm"] = "none"
    return found
