"""What flows, live: events a second at each step, latency, lag, dead letters."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from time import monotonic

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mainstem.app.backbone import Backbone
from mainstem.observe import metrics

EVERY_S = 0.25
OVER_S = 2.0
"""Rates are averages over this long: short enough to be live, long enough to be read."""
STATE_STYLE = {"running": "green", "starting": "yellow", "waiting": "yellow", "paused": "red", "stopped": "dim"}


class LiveView:
    """One table that is drawn anew as long as `run` runs."""

    def __init__(self, backbone: Backbone, console: Console) -> None:
        self._backbone = backbone
        self._console = console
        self._seen: deque[tuple[float, Mapping[str, int]]] = deque()

    @property
    def is_watched(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._console.is_terminal

    async def run(self) -> None:
        """Draws until it is cancelled."""
        with Live(console=self._console, auto_refresh=False) as live:
            while True:
                live.update(self._table(), refresh=True)
                await asyncio.sleep(EVERY_S)

    def _totals(self) -> dict[str, int]:
        totals = {}
        for integration in self._backbone.services.project.integrations:
            totals["events in"] = metrics.count(integration.name, "ingest", "published")
            for name in integration.streams:
                totals[f"stream {name}"] = sum(
                    process.counts.get("processed", 0) for process in self._backbone.streams[name]
                )
            for sink in integration.sinks:
                totals[f"sink {sink.name}"] = metrics.count(integration.name, sink.name, "delivered")
                totals["dead letters"] = metrics.count(integration.name, sink.name, "dead_lettered")
                totals["redriven"] = metrics.count(integration.name, sink.name, "redriven")
        return totals

    def _table(self) -> Table:
        now, totals = monotonic(), self._totals()
        self._seen.append((now, totals))
        while len(self._seen) > 1 and now - self._seen[0][0] > OVER_S:
            self._seen.popleft()
        then, before = self._seen[0]
        table = Table(box=None, pad_edge=False)
        table.add_column("step")
        table.add_column("events/s", justify="right")
        table.add_column("total", justify="right")
        for step, total in totals.items():
            rate = (total - before.get(step, 0)) / (now - then) if now > then else 0.0
            table.add_row(step, f"{rate:,.0f}", f"{total:,}")
        table.add_section()
        self._add_figures(table)
        return table

    def _add_figures(self, table: Table) -> None:
        figures = self._backbone.figures()
        for quantile in ("p50", "p99"):
            value = figures[f"{quantile}_ms"]
            table.add_row(f"{quantile} webhook to journal", "" if value is None else f"{value:,.0f} ms", "")
        for group, lag in figures["lag"].items():
            table.add_row(f"lag {group}", "", f"{lag:,}")
        for part, status in self._backbone.services.board.parts().items():
            if status.state != "running":
                style = STATE_STYLE[status.state]
                table.add_row(f"[{style}]{part} {status.state}[/] {status.reason or ''}", "", "")
