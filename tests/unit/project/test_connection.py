"""What reaches the clients of Kafka and of the registry is exactly what has a field."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mainstem.project.connection import KafkaSettings, RegistrySettings
from mainstem.sdk.secret import Secret


def test_a_plain_broker_needs_its_address_only() -> None:
    properties = KafkaSettings(bootstrap="a:1,b:2").client_properties()
    assert properties == {"bootstrap.servers": "a:1,b:2", "security.protocol": "PLAINTEXT"}


def test_each_field_becomes_the_clients_property() -> None:
    settings = KafkaSettings(
        bootstrap="a:1",
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="me",
        sasl_password=Secret("hunter2"),
        ssl_ca_location=Path("/ca.pem"),
        ssl_certificate_location=Path("/me.pem"),
        ssl_key_location=Path("/me.key"),
        ssl_key_password=Secret("hunter3"),
    )
    assert settings.client_properties() == {
        "bootstrap.servers": "a:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "hunter2",
        "ssl.ca.location": "/ca.pem",
        "ssl.certificate.location": "/me.pem",
        "ssl.key.location": "/me.key",
        "ssl.key.password": "hunter3",
    }
    assert "hunter" not in f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"


def test_the_session_is_a_setting_of_a_groups_members_alone() -> None:
    settings = KafkaSettings(bootstrap="a:1", session_timeout_s=2.5)
    assert settings.member_properties() == {**settings.client_properties(), "session.timeout.ms": "2500"}
    assert "session.timeout.ms" not in settings.client_properties()


@pytest.mark.parametrize("seconds", [0.9, 1801, float("inf"), float("nan")])
def test_a_session_that_no_broker_takes_is_refused(seconds: float) -> None:
    with pytest.raises(ValidationError, match="session_timeout_s"):
        KafkaSettings(bootstrap="a:1", session_timeout_s=seconds)


@pytest.mark.parametrize(
    "name", ["session_timeout_ms", "plugin_library_paths", "debug", "sasl_kerberos_kinit_cmd", "bootstrap.servers"]
)
def test_a_property_without_a_field_does_not_pass(name: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        KafkaSettings.model_validate({"bootstrap": "a:1", name: "x"})


def test_a_login_is_whole_or_not_at_all() -> None:
    with pytest.raises(ValidationError, match="SASL_SSL needs sasl_mechanism, sasl_username, sasl_password"):
        KafkaSettings(bootstrap="a:1", security_protocol="SASL_SSL")
    with pytest.raises(ValidationError, match="SSL does not take sasl_username"):
        KafkaSettings(bootstrap="a:1", security_protocol="SSL", sasl_username="me")
    with pytest.raises(ValidationError, match="username and password go together"):
        RegistrySettings(url="http://a", username="me")


@pytest.mark.parametrize("url", ["ftp://a", "a:8081", "http://me:pw@a", "http://", "http://a b", "http://a\n"])
def test_an_address_of_the_registry_has_no_password_in_it(url: str) -> None:
    with pytest.raises(ValidationError, match="is not an http:// or https:// address without user and password"):
        RegistrySettings(url=url)
