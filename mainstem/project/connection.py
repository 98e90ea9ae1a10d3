"""Settings of Kafka and of the schema registry. Only what is a field here reaches a client."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mainstem.project.typed_names import HttpAddress
from mainstem.sdk.secret import Secret
from mainstem.sdk.settings import Settings

MAX_SESSION_S = 1800
"""What a broker allows at most unless it is told otherwise (group.max.session.timeout.ms)."""


class KafkaSettings(Settings):
    """How to reach the broker. The fields of security are librdkafka's properties, with underscores for dots."""

    bootstrap: Annotated[str, Field(min_length=1)]
    """Brokers to ask first: `host:port`, several with commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Whether to encrypt and whether to log in."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How to log in."""
    sasl_username: str | None = None
    """Who logs in."""
    sasl_password: Secret | None = None
    """The password: `${secret:name}`."""
    ssl_ca_location: Path | None = None
    """The authorities that may vouch for the broker; the system's where nothing is said."""
    ssl_certificate_location: Path | None = None
    """The client's certificate, PEM."""
    ssl_key_location: Path | None = None
    """The client's private key, PEM."""
    ssl_key_password: Secret | None = None
    """The private key's password: `${secret:name}`."""
    session_timeout_s: Annotated[float, Field(ge=1, le=MAX_SESSION_S, allow_inf_nan=False)] = 10.0
    """Seconds without a sign of life after which a worker's partitions go to another one. A broker takes what lies
    between its group.min.session.timeout.ms (6 s unless it is set) and group.max.session.timeout.ms (1,800 s)."""

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        login = {
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_username": self.sasl_username,
            "sasl_password": self.sasl_password,
        }
        wanted = self.security_protocol.startswith("SASL_")
        wrong = [name for name, value in login.items() if (value is None) == wanted]
        if wrong:
            need = "needs" if wanted else "does not take"
            raise PydanticCustomError(
                "login",
                "security_protocol {protocol} {need} {names}",
                {"protocol": self.security_protocol, "need": need, "names": ", ".join(wrong)},
            )
        return self

    def client_properties(self) -> dict[str, str]:
        """librdkafka's properties, passwords in clear: give them to a client at once and keep them nowhere."""
        properties = {"bootstrap.servers": self.bootstrap, "security.protocol": self.security_protocol}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name.startswith(("sasl_", "ssl_")) and value is not None:
                properties[name.replace("_", ".")] = value.reveal() if isinstance(value, Secret) else str(value)
        return properties

    def member_properties(self) -> dict[str, str]:
        """`client_properties` for a member of a consumer group: producers would warn of what is added."""
        return {**self.client_properties(), "session.timeout.ms": str(round(self.session_timeout_s * 1000))}


class RegistrySettings(Settings):
    """How to reach the schema registry: any that speaks Confluent's API."""

    url: HttpAddress
    """Its address, without user or password: those have their own fields."""
    username: str | None = None
    """Who logs in (HTTP basic)."""
    password: Secret | None = None
    """The password: `${secret:name}`."""
    ssl_ca_location: Path | None = None
    """The authorities that may vouch for the registry; the system's where nothing is said."""

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise PydanticCustomError("login", "username and password go together")
        return self
