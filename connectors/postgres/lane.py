"""One session with its staging table: what one transaction at a time uses."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.postgres.control import Control
from connectors.postgres.session import Session
from connectors.postgres.stage import Stage
from connectors.postgres.table import Connection


@dataclass(frozen=True, slots=True)
class Lane:
    """It connects with its first use."""

    session: Session
    stage: Stage
    control: Control

    def __post_init__(self) -> None:
        self.session.prepare = self._prepare

    def _prepare(self, connection: Connection) -> None:
        self.control.create(connection)
        self.stage.prepare(connection)
