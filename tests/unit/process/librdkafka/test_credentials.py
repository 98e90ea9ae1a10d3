"""Faust's credentials become librdkafka's properties, or are refused with what to do; librdkafka itself takes them."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from confluent_kafka import Consumer
from faust.auth import GSSAPICredentials, OAuthCredentials, SASLCredentials, SSLCredentials
from faust.exceptions import ImproperlyConfigured

from mainstem.process.librdkafka import App, EngineOptions
from mainstem.process.librdkafka.credentials import properties

BROKER = "librdkafka://127.0.0.1:9"
AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBiDCCAS+gAwIBAgIUXnr9zWP5LgfkBSS/+DCvpjIJs9swCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI4MTA0NTI0WhgPMjEy
NjExMDQxMDQ1MjRaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEBWrxIFVIvOpHiPFxulRkMMiTfSP1Z2Qp/Er7NFE5
ZDkEJCJ2/tS2A428g34bh/Js9Z4xQYqjlD3BvFoC1l/LDqNTMFEwHQYDVR0OBBYE
FKXSj2Q1FIBPNfW/HEdLQD7nd+Y+MB8GA1UdIwQYMBaAFKXSj2Q1FIBPNfW/HEdL
QD7nd+Y+MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgOLVGu1gZ
D56fWgNmL9gImiWhEuX0OvBs8DaRlzvIRpYCICD6qelHCWlCx4HrsUtEiI2DNu6D
PAUbt12SpOfDrNzT
-----END CERTIFICATE-----
"""
"""Of a test authority, whose key was thrown away."""


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=AUTHORITY)
    return context


def blind() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_is_mapped(mechanism: str) -> None:
    assert properties(SASLCredentials(username="till", password="secret", mechanism=mechanism)) == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": mechanism,
        "sasl.username": "till",
        "sasl.password": "secret",
    }


def test_a_password_over_tls_trusts_whom_the_context_trusts() -> None:
    found = properties(SASLCredentials(username="till", password="secret", ssl_context=trusting()))
    assert found["security.protocol"] == "SASL_SSL"
    assert found["ssl.ca.pem"].split() == AUTHORITY.split()
    assert "enable.ssl.certificate.verification" not in found
    assert "ssl.endpoint.identification.algorithm" not in found


def test_tls_alone_is_mapped_and_what_the_context_does_not_check_is_not_checked() -> None:
    assert properties(SSLCredentials(blind())) == {
        "security.protocol": "SSL",
        "enable.ssl.certificate.verification": False,
        "ssl.endpoint.identification.algorithm": "none",
    }


def test_kerberos_is_mapped_but_for_its_domain() -> None:
    assert properties(GSSAPICredentials(kerberos_service_name="broker")) == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": "GSSAPI",
        "sasl.kerberos.service.name": "broker",
    }
    with pytest.raises(ImproperlyConfigured, match="leave it out"):
        properties(GSSAPICredentials(kerberos_domain_name="example.org"))


def test_no_credentials_are_nothing() -> None:
    assert properties(None) == {}


@pytest.mark.parametrize(
    ("credentials", "what"),
    [
        (OAuthCredentials(oauth_cb=object()), "oauth_cb"),
        (SASLCredentials(username="till"), "a password"),
        (object(), "object is not known"),
    ],
    ids=["oauth", "no password", "unknown"],
)
def test_what_cannot_be_mapped_is_refused_with_what_to_do(credentials: Any, what: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=what):
        properties(credentials)


def test_librdkafka_takes_all_that_is_mapped() -> None:
    for credentials in (
        SASLCredentials(username="till", password="secret", mechanism="SCRAM-SHA-512", ssl_context=trusting()),
        SASLCredentials(username="till", password="secret"),
        SSLCredentials(blind()),
    ):
        Consumer({"bootstrap.servers": "127.0.0.1:9", "group.id": "g", **properties(credentials)}).close()


def test_an_app_connects_with_its_credentials_and_its_options_go_first() -> None:
    app = App(
        "a",
        broker=BROKER,
        broker_credentials=SASLCredentials(username="till", password="old"),
        engine=EngineOptions(client={"sasl.password": "new", "client.rack": "north"}),
    )
    assert app.transport is not None
    assert app.engine.client == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": "PLAIN",
        "sasl.username": "till",
        "sasl.password": "new",
        "client.rack": "north",
    }


def test_an_app_whose_credentials_cannot_be_mapped_does_not_start() -> None:
    app = App("a", broker=BROKER, broker_credentials=OAuthCredentials(oauth_cb=object()))
    with pytest.raises(ImproperlyConfigured, match="token provider"):
        app.transport  # noqa: B018 - made when it is asked for


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("partition.assignment.strategy", "only range"),
        ("group.remote.assignor", "cooperative-sticky and uniform"),
        ("isolation.level", "what is committed"),
        ("transactional.id", "member"),
    ],
)
def test_a_property_on_which_the_promises_rest_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: .*{reason}"):
        EngineOptions(client={name: "something"})
