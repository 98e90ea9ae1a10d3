"""The commands by name. Each is imported when it is asked for: to read one's help is not to load all clients."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

Command = Any
"""Typer's, which has click inside; it does not say its type."""

PLACES = {
    "demo": "mainstem.cli.demo.command:demo",
    "dev": "mainstem.cli.dev:dev",
    "stop": "mainstem.cli.dev:stop",
    "lint": "mainstem.cli.lint:lint",
    "test": "mainstem.cli.test:test",
    "apply": "mainstem.cli.apply:apply",
    "run": "mainstem.cli.run:run",
    "doctor": "mainstem.cli.doctor:doctor",
    "topic": "mainstem.cli.topic:app",
    "record": "mainstem.cli.record:app",
    "dlq": "mainstem.cli.dlq:app",
    "replay": "mainstem.cli.replay:app",
    "group": "mainstem.cli.group:app",
    "config": "mainstem.cli.config:app",
}
"""Where a command is a function, or where its subcommands are."""


class Commands(MutableMapping[str, Command]):
    """As click's own dict of commands, filled by asking."""

    def __init__(self) -> None:
        self._places: dict[str, str | Command] = dict(PLACES)

    def __getitem__(self, name: str) -> Command:
        place = self._places[name]
        if isinstance(place, str):
            place = self._places[name] = _load(name, place)
        return place

    def __setitem__(self, name: str, command: Command) -> None:
        self._places[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Root(TyperGroup):
    """The command itself."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commands = Commands()


def _load(name: str, place: str) -> Command:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        command: Command = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        command = typer.main.get_command(alone)
    command.name = name
    return command
