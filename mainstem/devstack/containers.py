"""The same stack made of containers by testcontainers, where Docker runs and is asked for (MAINSTEM_STACK=docker).

It belongs to the process that starts it: testcontainers' reaper removes the containers when that process is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

from mainstem.devstack import kafka, postgres, registry
from mainstem.devstack.extras import load
from mainstem.devstack.ports import HOST, choose, is_free
from mainstem.devstack.progress import Progress
from mainstem.devstack.stack import REGISTRY_PATH, Part, RunningStack, Stack
from mainstem.devstack.versions import APICURIO_IMAGE, KAFKA_IMAGE, POSTGRES_IMAGE
from mainstem.errors import MISSING_EXTRA, STACK_FAILED, Misconfigured, Unreachable

PASSWORD: Final = "mainstem"  # noqa: S105 - of a database that lives as long as one process, on loopback
INSIDE: Final = {Part.KAFKA: 9092, Part.REGISTRY: 8080, Part.POSTGRES: 5432}
"""The port of each part in its container."""


def start(progress: Progress) -> RunningStack:
    """Raises `Misconfigured` (MISSING_EXTRA) without testcontainers, `Unreachable` (STACK_FAILED) without an engine."""
    try:
        load("testcontainers.core.container", install="testcontainers")
    except Misconfigured as error:
        raise Misconfigured(
            "MAINSTEM_STACK=docker needs the Python package testcontainers", code=MISSING_EXTRA, fix=error.fix
        ) from error
    free = choose(Part, {}, "docker", is_free)
    ports = {part: free[part] for part in Part}
    with ExitStack() as opened:
        _opened(lambda: _start_all(ports, opened, progress))
        keep = opened.pop_all()
    stack = Stack(
        bootstrap=f"{HOST}:{ports[Part.KAFKA]}",
        registry_url=f"http://{HOST}:{ports[Part.REGISTRY]}{REGISTRY_PATH}",
        postgres_dsn=postgres.dsn(ports[Part.POSTGRES], PASSWORD),
    )
    return RunningStack(stack, started_here=True, end=keep.close)


def _opened(work: Callable[[], None]) -> None:
    docker = load("docker.errors", install="testcontainers")
    raised = load("testcontainers.core.exceptions", install="testcontainers")
    try:
        work()
    except (
        docker.DockerException,
        raised.ContainerStartException,
        raised.ContainerIsNotRunning,
        OSError,
    ) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise Unreachable(
            f"the stack's containers did not start: {first}",
            code=STACK_FAILED,
            fix="start Docker, or leave MAINSTEM_STACK unset: the stack needs no Docker",
        ) from error


def _start_all(ports: Mapping[Part, int], opened: ExitStack, progress: Progress) -> None:
    waits = load("testcontainers.core.wait_strategies", install="testcontainers")
    network = opened.enter_context(load("testcontainers.core.network").Network())
    for part, title, image, environ, ready in (
        (Part.POSTGRES, postgres.TITLE, POSTGRES_IMAGE, _postgres_environ(), "ready to accept connections"),
        (Part.KAFKA, kafka.TITLE, KAFKA_IMAGE, kafka_environ(ports[Part.KAFKA]), "Kafka Server started"),
        (Part.REGISTRY, registry.TITLE, APICURIO_IMAGE, _registry_environ(), "Listening on"),
    ):
        with progress.step(f"{title} (container)"):
            container = _container(image, environ, part, ports[part], network)
            # PostgreSQL's image starts the server once more after it has made the database.
            times = 2 if part is Part.POSTGRES else 1
            opened.enter_context(container.waiting_for(waits.LogMessageWaitStrategy(ready, times=times)))


def _container(image: str, environ: Mapping[str, str], part: Part, port: int, network: Any) -> Any:
    container = load("testcontainers.core.container").DockerContainer(image, env=dict(environ))
    container.with_network(network).with_network_aliases(str(part))
    if part is Part.POSTGRES:
        container.with_command("postgres -c wal_level=logical")
    # with_bind_ports would open it to every interface.
    container.ports[f"{INSIDE[part]}/tcp"] = (HOST, port)
    return container


def kafka_environ(port: int) -> dict[str, str]:
    """The properties as apache/kafka's image takes them: KAFKA_ and the name in capitals, `.` as `_`."""
    settings = {
        **kafka.ONE_NODE,
        **kafka.FOR_DEVELOPMENT,
        "listeners": f"BROKER://:{INSIDE[Part.KAFKA]},CONTROLLER://:9093",
        "advertised.listeners": f"BROKER://{HOST}:{port}",
        "controller.quorum.voters": f"1@{HOST}:9093",
    }
    return {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in settings.items()}


def _postgres_environ() -> dict[str, str]:
    return {"POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": registry.DATABASE}


def _registry_environ() -> dict[str, str]:
    settings = {
        **registry.STORAGE,
        "apicurio.datasource.url": f"jdbc:postgresql://{Part.POSTGRES}:{INSIDE[Part.POSTGRES]}/{registry.DATABASE}",
        "apicurio.datasource.password": PASSWORD,
    }
    return {name.upper().replace(".", "_").replace("-", "_"): value for name, value in settings.items()}
