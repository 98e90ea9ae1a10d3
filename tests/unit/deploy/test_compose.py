"""docker-compose.yml says the same as mainstem/devstack, gives nothing away, and starts in an order that works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from mainstem.devstack import kafka, registry, versions
from mainstem.devstack.stack import REGISTRY_PATH
from mainstem.project.load import load
from mainstem.project.secrets import variable

REPOSITORY = Path(__file__).parents[3]
OWN_LISTENERS = "listener.security.protocol.map"
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
FILLED_IN = "00ff"


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    composed = YAML(typ="safe").load(REPOSITORY / "docker-compose.yml")
    return dict(composed["services"])


def as_environ(settings: dict[str, str], prefix: str = "") -> dict[str, str]:
    """Properties as the images take them from the environment."""
    return {prefix + name.upper().replace(".", "_").replace("-", "_"): value for name, value in settings.items()}


def test_the_versions_are_the_development_stacks(services: dict[str, Any]) -> None:
    assert services["kafka"]["image"] == versions.KAFKA_IMAGE
    assert services["registry"]["image"] == versions.APICURIO_IMAGE
    assert services["postgres"]["image"] == versions.POSTGRES_IMAGE


def test_the_settings_are_the_development_stacks(services: dict[str, Any]) -> None:
    broker = {**kafka.ONE_NODE, **kafka.FOR_DEVELOPMENT}
    del broker[OWN_LISTENERS]  # it is reached by two ways, from containers and from this machine
    assert as_environ(broker, "KAFKA_").items() <= services["kafka"]["environment"].items()
    assert as_environ(registry.STORAGE).items() <= services["registry"]["environment"].items()
    assert "wal_level=logical" in services["postgres"]["command"]


def test_schemas_outlive_a_restart_as_the_topics_do(services: dict[str, Any]) -> None:
    assert services["registry"]["environment"]["APICURIO_DATASOURCE_URL"].startswith("jdbc:postgresql://postgres:")
    assert services["kafka"]["environment"]["KAFKA_LOG_DIRS"] == services["kafka"]["volumes"][0].split(":")[1]
    assert services["postgres"]["volumes"][0] == "postgres:/var/lib/postgresql"


def test_every_port_is_open_to_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_secret_has_a_value_in_the_file(services: dict[str, Any]) -> None:
    pairs = [pair for service in services.values() for pair in service.get("environment", {}).items()]
    secret = [(name, value) for name, value in pairs if re.search(r"PASSWORD|SECRET|TOKEN", name)]
    assert len(secret) >= 4
    for name, value in secret:
        text = REQUIRED.sub("", value)
        assert text != value, f"{name} is no reference"
        assert text in {"", "postgresql://postgres:@postgres:5432/accounting"}


def test_every_secret_that_the_demo_company_refers_to_is_given(services: dict[str, Any]) -> None:
    texts = [path.read_text() for path in (REPOSITORY / "integrations").glob("*.yaml")]
    wanted = {variable(name) for text in texts for name in re.findall(r"\$\{secret:(\w+)\}", text)}
    assert wanted
    for part in ("apply", "backbone"):
        assert wanted <= set(services[part]["environment"])


def test_the_backbone_finds_the_stack_by_its_environment(services: dict[str, Any]) -> None:
    given = {name: REQUIRED.sub(FILLED_IN, text) for name, text in services["backbone"]["environment"].items()}
    project = load(REPOSITORY, environ=given)
    assert project.kafka.bootstrap == "kafka:9092"
    assert f"BROKER://{project.kafka.bootstrap}" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert project.registry.url == f"http://registry:8080{REGISTRY_PATH}"
    published = services["backbone"]["ports"][0]
    assert published.endswith(f":{project.gateway.port}")


def test_a_service_waits_until_what_it_needs_is_healthy_or_done(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for other, wait in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other == "apply" else "service_healthy"
            assert wait["condition"] == wanted, f"{name} on {other}"
    for name in ("kafka", "registry", "postgres"):
        assert services[name]["healthcheck"]["test"][0] == "CMD"
    assert set(services["backbone"]["depends_on"]) == {"apply", "kafka", "registry", "postgres"}


def test_the_topics_and_schemas_are_made_once_before_the_backbone_runs(services: dict[str, Any]) -> None:
    assert services["apply"]["command"] == ["apply", "--execute"]
    assert "restart" not in services["apply"]


def test_every_file_that_is_mounted_is_there(services: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for volume in services["postgres"]["volumes"] if volume.startswith("./")]
    assert len(mounted) == 4
    assert [path for path in mounted if not (REPOSITORY / path).is_file()] == []


@pytest.mark.parametrize("part", ["apply", "backbone"])
def test_our_containers_can_change_nothing_but_their_temporary_files(services: dict[str, Any], part: str) -> None:
    assert services[part]["read_only"] is True
    assert services[part]["tmpfs"] == ["/tmp"]  # noqa: S108 - the container's own
    assert services[part]["cap_drop"] == ["ALL"]
    assert services[part]["security_opt"] == ["no-new-privileges:true"]
