"""The Apicurio registry behind its Confluent-compatible API, with its schemas in the stack's PostgreSQL.

Not in memory: the topics outlive a restart, and so must the schema ids in their records.
"""

from __future__ import annotations

import http.client
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from mainstem.devstack import jvm, postgres
from mainstem.devstack.artifacts import locked
from mainstem.devstack.databases import ensure_database
from mainstem.devstack.fetch import fetch, unpack
from mainstem.devstack.launch import Launch
from mainstem.devstack.lock import exclusive
from mainstem.devstack.ports import HOST
from mainstem.devstack.process import environment, spawn
from mainstem.devstack.stack import REGISTRY_PATH, Part
from mainstem.devstack.versions import APICURIO

TITLE: Final = f"Apicurio registry {APICURIO}"
DATABASE: Final = "apicurio"
MANAGEMENT: Final = "management"
"""The name of its second port, which cannot be turned off (the program was built with it)."""
HEAP_MB: Final = 256
DEADLINE_S: Final = 120.0

STORAGE: Final = {
    "apicurio.storage.kind": "sql",
    "apicurio.storage.sql.kind": "postgresql",
    "apicurio.datasource.username": postgres.SUPERUSER,
    "apicurio.datasource.jdbc.initial-size": "1",
    "apicurio.datasource.jdbc.min-size": "1",
    "apicurio.datasource.jdbc.max-size": "10",
    # A schema must be able to read what is in the topic already, unless its subject says otherwise.
    "apicurio.rules.global.compatibility": "BACKWARD_TRANSITIVE",
    # As Confluent's registry does: subjects and versions can be deleted.
    "apicurio.rest.deletion.artifact.enabled": "true",
    "apicurio.rest.deletion.artifact-version.enabled": "true",
}
ON_THIS_MACHINE: Final = {
    "quarkus.http.host": HOST,
    "quarkus.management.host": HOST,
    "quarkus.http.access-log.enabled": "false",
}


def start(launch: Launch, database: Future[int]) -> int:
    """Downloads what is missing while PostgreSQL (`database`) starts, returns the process id when the API answers."""
    program = _program(launch)
    database.result()
    with launch.progress.step(TITLE):
        port = launch.ports[Part.POSTGRES]
        ensure_database(postgres.dsn(port, launch.password), DATABASE)
        settings = {
            **STORAGE,
            **ON_THIS_MACHINE,
            "quarkus.http.port": str(launch.ports[Part.REGISTRY]),
            "quarkus.management.port": str(launch.ports[MANAGEMENT]),
            "apicurio.datasource.url": f"jdbc:postgresql://{HOST}:{port}/{DATABASE}",
        }
        options = [*jvm.QUICK, *(f"-D{name}={value}" for name, value in settings.items())]
        command = jvm.server(launch.home, Part.REGISTRY, HEAP_MB, options)
        # Not on the command line, which every user of the machine can read.
        environ = environment(APICURIO_DATASOURCE_PASSWORD=launch.password)
        pid = spawn([*command, "-jar", program], launch.home.log(Part.REGISTRY), environ)
        launch.wait(Part.REGISTRY, pid, lambda: answers(launch.ports[Part.REGISTRY]), DEADLINE_S)
        return pid


def _program(launch: Launch) -> Path:
    folder = launch.cache / f"apicurio-registry-{APICURIO}"
    with exclusive(launch.cache / "apicurio.lock"):
        if not folder.exists():
            (archive,) = fetch(TITLE, locked("apicurio"), launch.cache, launch.progress, launch.cancelled)
            unpack(archive, folder)
    return folder / "quarkus-run.jar"


def answers(port: int) -> bool:
    """Whether the API on that port lists its subjects, which takes the database too."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", f"{REGISTRY_PATH}/subjects")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
