"""A push source at work: one request in, a receipt out when its events are durable."""

from __future__ import annotations

from mainstem.errors import MainstemError, Rejected
from mainstem.ingest.intake import Intake, Receipt, Sender
from mainstem.ingest.watch import Watch
from mainstem.observe import metrics
from mainstem.sdk.source import PushSource, Request

STEP = "ingest"


class PushIngest:
    """Runs one push source of an integration into its topic.

    Every event's id gets `<integration>.<source>:` before it, for two systems may give the same one.
    """

    def __init__(self, integration: str, source: str, push: PushSource, intake: Intake, watch: Watch) -> None:
        self.integration = integration
        self.source = source
        self.name = f"{integration}.{source}"
        self.topic = intake.topic
        self._push = push
        self._intake = intake
        self._watch = watch
        self._sender = Sender(self.name, f"{self.name}:")
        self._outcomes = Outcomes(integration)

    async def receive(self, request: Request) -> Receipt:
        """Returns when every event of the request is durable in Kafka, each id once within the topic's window.

        Raises RequestRefused (the request is to blame), Unreachable or Misconfigured (it is to be sent again).
        """
        try:
            events = await self._push.receive(request)
            receipt = await self._intake.publish(events, self._sender, trace=request.headers.get("traceparent"))
        except Rejected:
            self._outcomes.refused(1)
            raise
        except MainstemError as error:
            self._watch.failed(error)
            raise
        self._outcomes.taken(receipt)
        self._watch.succeeded()
        return receipt

    def count_refused(self) -> None:
        """Counts a request that was refused before it came here."""
        self._outcomes.refused(1)


class Outcomes:
    """Counts what became of what came in."""

    def __init__(self, integration: str) -> None:
        self._published = metrics.records.labels(integration, STEP, "published")
        self._duplicate = metrics.records.labels(integration, STEP, "duplicate")
        self._refused = metrics.records.labels(integration, STEP, "refused")

    def taken(self, receipt: Receipt) -> None:
        """Counts the events of a receipt."""
        self._published.inc(len(receipt.ids) - len(receipt.duplicates))
        if receipt.duplicates:
            self._duplicate.inc(len(receipt.duplicates))

    def refused(self, count: int) -> None:
        """Counts what was refused: of a request that does not parse nobody knows the events, so it counts as one."""
        self._refused.inc(count)
