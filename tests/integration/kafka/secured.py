"""A Kafka broker of its own that takes only clients which encrypt and log in, by PLAIN or SCRAM."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from mainstem.devstack import jvm, kafka
from mainstem.devstack.artifacts import cache_folder, locked
from mainstem.devstack.fetch import fetch
from mainstem.devstack.launch import Launch
from mainstem.devstack.lock import exclusive
from mainstem.devstack.ports import HOST, choose, is_free
from mainstem.devstack.process import end, environment, run, spawn
from mainstem.devstack.progress import SILENT
from mainstem.devstack.stack import Home, Part
from mainstem.project.connection import KafkaSettings
from mainstem.sdk.secret import Secret

USER: Final = "till"
PASSWORD: Final = "not-for-the-log"
SCRAM: Final = "SCRAM-SHA-512"
MODULES: Final = "org.apache.kafka.common.security"
INNER: Final = "inner"
"""The port by which the broker talks to itself."""
STARTS_WITHIN_S: Final = 90.0


@dataclass(frozen=True)
class SecuredBroker:
    """Where it is, and who vouches for it: it does itself."""

    address: str
    authorities: Path

    def settings(self, mechanism: str, password: str = PASSWORD) -> KafkaSettings:
        """As a project's `kafka:` would say it."""
        return KafkaSettings.model_validate(
            {
                "bootstrap": self.address,
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": mechanism,
                "sasl_username": USER,
                "sasl_password": Secret(password),
                "ssl_ca_location": self.authorities,
            }
        )


@contextmanager
def secured_broker(folder: Path) -> Iterator[SecuredBroker]:
    home = Home.of(folder)
    ports = choose([Part.KAFKA, INNER, kafka.CONTROLLER], {}, str(folder), is_free)
    launch = Launch(home, ports, "", cache_folder(), SILENT, Event())
    place = home.of_part(Part.KAFKA)
    place.mkdir(parents=True)
    broker = SecuredBroker(f"{HOST}:{ports[Part.KAFKA]}", _certificate(place))
    with exclusive(launch.cache / "kafka.lock"):
        jars = fetch(kafka.TITLE, locked("kafka"), launch.cache, SILENT, launch.cancelled)
    (place / "log4j2.properties").write_text(kafka.LOGGING, encoding="utf-8")
    class_path = ["-cp", ":".join(map(str, jars)), f"-Dlog4j2.configurationFile={place}/log4j2.properties"]
    configuration = place / "server.properties"
    told = {**kafka.ONE_NODE, **kafka.FOR_DEVELOPMENT, **_places(ports, place), **_security(place)}
    configuration.write_text("".join(f"{name}={value}\n" for name, value in told.items()), encoding="utf-8")
    _format(class_path, configuration, home.log(Part.KAFKA))
    command = [*jvm.server(home, Part.KAFKA, kafka.HEAP_MB), *class_path, "kafka.Kafka", configuration]
    pid = spawn(command, home.log(Part.KAFKA), environment())
    try:
        launch.wait(Part.KAFKA, pid, lambda: _answers(broker), STARTS_WITHIN_S)
        yield broker
    finally:
        end([pid])


def _certificate(place: Path) -> Path:
    """Makes the broker's key; gives its own certificate as PEM, for those who are to trust it."""
    keytool = Path(str(jvm.java()[0])).with_name("keytool")
    store = ["-keystore", str(place / "broker.p12"), "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "broker"]
    names = ["-dname", "CN=broker", "-ext", f"SAN=ip:{HOST}", "-ext", "BC=ca:true", "-validity", "2"]
    log = place / "keytool.log"
    assert run([keytool, "-genkeypair", "-keyalg", "EC", *names, *store], log), log.read_text()
    authorities = place / "ca.pem"
    assert run([keytool, "-exportcert", "-rfc", "-file", authorities, *store], log), log.read_text()
    return authorities


def _places(ports: Mapping[str, int], place: Path) -> dict[str, Any]:
    advertised = f"CLIENTS://{HOST}:{ports[Part.KAFKA]},BROKER://{HOST}:{ports[INNER]}"
    controller = f"{HOST}:{ports[kafka.CONTROLLER]}"
    return {
        "listeners": f"{advertised},CONTROLLER://{controller}",
        "advertised.listeners": advertised,
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": place / "data",
    }


def _security(place: Path) -> dict[str, Any]:
    login = f'username="{USER}" password="{PASSWORD}"'
    return {
        "listener.security.protocol.map": "CLIENTS:SASL_SSL,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.clients.sasl.enabled.mechanisms": f"PLAIN,{SCRAM}",
        "listener.name.clients.plain.sasl.jaas.config": (
            f'{MODULES}.plain.PlainLoginModule required {login} user_{USER}="{PASSWORD}";'
        ),
        f"listener.name.clients.{SCRAM.lower()}.sasl.jaas.config": f"{MODULES}.scram.ScramLoginModule required;",
        "ssl.keystore.location": place / "broker.p12",
        "ssl.keystore.type": "PKCS12",
        "ssl.keystore.password": PASSWORD,
        "ssl.key.password": PASSWORD,
    }


def _format(class_path: list[str], configuration: Path, log: Path) -> None:
    scram = f"{SCRAM}=[name={USER},password={PASSWORD}]"
    tool = [
        "kafka.tools.StorageTool",
        "format",
        "-c",
        str(configuration),
        "-t",
        "c2VjdXJlZC1icm9rZXI",
        "--add-scram",
        scram,
    ]
    assert run([*jvm.java(*jvm.QUICK), *class_path, *tool], log), log.read_text()


def _answers(broker: SecuredBroker) -> bool:
    config: dict[str, Any] = {**broker.settings("PLAIN").client_properties(), "log_level": 0}
    try:
        return bool(AdminClient(config).list_topics(timeout=2).brokers)
    except KafkaException:
        return False
