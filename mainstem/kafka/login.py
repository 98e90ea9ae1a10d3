"""Why no broker lets a client in. The calls themselves only say that none answers: the reason comes beside them."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError, KafkaException

from mainstem.errors import CREDENTIALS_REFUSED, MainstemError, Misconfigured, Unreachable
from mainstem.kafka.failure import failure

REFUSALS: Final = {KafkaError._AUTHENTICATION, KafkaError._SSL}


class Login:
    """Listens to a client's errors. Whoever asks for the reason polls the client first."""

    def __init__(self) -> None:
        self._refusal: KafkaError | None = None

    def hear(self, error: KafkaError) -> None:
        """To be the client's `error_cb`."""
        if error.code() in REFUSALS:
            self._refusal = error

    def failure(self, error: KafkaError | KafkaException, doing: str) -> MainstemError:
        """As `failure`; Misconfigured (MS-205) where no broker answers because they do not let us in."""
        found = failure(error, doing)
        if self._refusal is None or not isinstance(found, Unreachable):
            return found
        return Misconfigured(f"{doing}: {self._refusal.str()}", code=CREDENTIALS_REFUSED)
