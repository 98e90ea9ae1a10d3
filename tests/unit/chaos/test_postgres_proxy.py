"""What the proxy does to a COMMIT, in front of a server that notes what arrives and answers it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from tests.chaos.postgres_proxy import COMMIT, Fate, PostgresProxy

QUERY = b"Q\x00\x00\x00\x0dSELECT 1\x00"
ANSWER_S = 5.0


class Server:
    """Answers every piece that arrives with `done`."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1000):
                self.heard.append(data)
                connection.sendall(b"done")


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[PostgresProxy]:
    with PostgresProxy("127.0.0.1", server.port) as proxy:
        yield proxy


def ask(proxy: PostgresProxy, *statements: bytes) -> list[bytes]:
    """What comes back for each, over one connection; nothing where it was cut."""
    answers = []
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=ANSWER_S) as client:
        for statement in statements:
            try:
                client.sendall(statement)
                answers.append(client.recv(100))
            except ConnectionError:
                answers.append(b"")
    return answers


def test_without_a_fate_everything_passes(proxy: PostgresProxy, server: Server) -> None:
    assert ask(proxy, QUERY, COMMIT, QUERY) == [b"done"] * 3
    assert server.heard == [QUERY, COMMIT, QUERY]
    assert proxy.doomed == 0


def test_a_lost_commit_never_arrives(proxy: PostgresProxy, server: Server) -> None:
    proxy.doom(Fate.REQUEST_LOST)
    assert ask(proxy, QUERY, COMMIT) == [b"done", b""]
    assert server.heard == [QUERY]
    assert proxy.doomed == 1


def test_a_commit_whose_answer_is_lost_has_arrived(proxy: PostgresProxy, server: Server) -> None:
    proxy.doom(Fate.ANSWER_LOST)
    assert ask(proxy, QUERY, COMMIT) == [b"done", b""]
    assert server.heard == [QUERY, COMMIT]
    assert proxy.doomed == 1


def test_a_late_answer_comes_in_the_end(proxy: PostgresProxy) -> None:
    proxy.doom(Fate.ANSWER_LATE, late_s=0.3)
    began = monotonic()
    assert ask(proxy, COMMIT) == [b"done"]
    assert monotonic() - began >= 0.3


def test_only_one_commit_is_doomed(proxy: PostgresProxy) -> None:
    proxy.doom(Fate.ANSWER_LOST)
    assert ask(proxy, COMMIT) == [b""]
    assert ask(proxy, COMMIT, COMMIT) == [b"done", b"done"]


def test_a_fate_can_be_taken_back(proxy: PostgresProxy) -> None:
    proxy.doom(Fate.ANSWER_LOST)
    proxy.doom(None)
    assert ask(proxy, COMMIT) == [b"done"]
    assert proxy.doomed == 0
