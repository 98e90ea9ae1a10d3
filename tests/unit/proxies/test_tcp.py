"""The proxy does to a connection what it is asked to, and nothing else."""

from __future__ import annotations

import gc
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.tcp_proxy import HOST, TcpProxy, Way

PATIENCE_S = 5.0
SILENCE_S = 0.2
REFUSALS = 200


class Echo(socketserver.BaseRequestHandler):
    """Answers with what it hears."""

    def handle(self) -> None:
        try:
            while data := self.request.recv(65_536):
                self.request.sendall(data)
        except ConnectionError:
            return


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    with socketserver.ThreadingTCPServer((HOST, 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with TcpProxy(HOST, server.server_address[1]) as made:
            yield made
        server.shutdown()


@contextmanager
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.port), PATIENCE_S) as connected:
        yield connected


def says(connected: socket.socket, data: bytes) -> bytes:
    connected.sendall(data)
    return connected.recv(65_536)


def is_silent(connected: socket.socket) -> bool:
    connected.settimeout(SILENCE_S)
    try:
        connected.recv(1)
    except TimeoutError:
        return True
    finally:
        connected.settimeout(PATIENCE_S)
    return False


def is_gone(connected: socket.socket) -> bool:
    try:
        return connected.recv(1) == b""
    except ConnectionError:
        return True


def test_what_is_said_arrives_in_both_directions(proxy: TcpProxy) -> None:
    with client(proxy) as connected:
        assert says(connected, b"hello") == b"hello"


def test_a_cut_ends_what_is_open_and_nothing_else(proxy: TcpProxy) -> None:
    with client(proxy) as connected:
        assert says(connected, b"1") == b"1"
        proxy.cut()
        assert is_gone(connected)
    with client(proxy) as connected:
        assert says(connected, b"2") == b"2"


def test_nobody_gets_in_while_it_refuses_and_everybody_on_the_same_port_after_that(proxy: TcpProxy) -> None:
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), PATIENCE_S)
    proxy.resume()
    assert proxy.port == port
    with client(proxy) as connected:
        assert says(connected, b"1") == b"1"


@pytest.mark.parametrize("way", Way)
def test_what_is_swallowed_never_arrives_and_the_connection_stays_up(proxy: TcpProxy, way: Way) -> None:
    with client(proxy) as connected:
        proxy.swallow(way)
        connected.sendall(b"lost")
        assert is_silent(connected)
        proxy.resume()
        assert is_gone(connected)
    with client(proxy) as connected:
        assert says(connected, b"1") == b"1"


def test_a_truncated_answer_is_that_long_and_the_last_thing_heard(proxy: TcpProxy) -> None:
    proxy.truncate(3)
    with client(proxy) as connected:
        assert says(connected, b"hello") == b"hel"
        assert is_gone(connected)
    with client(proxy) as connected:
        assert says(connected, b"hello") == b"hello"


def test_answers_that_are_held_back_arrive_when_they_are_let_go(proxy: TcpProxy) -> None:
    with client(proxy) as connected:
        proxy.hold()
        connected.sendall(b"late")
        assert is_silent(connected)
        proxy.resume()
        assert connected.recv(4) == b"late"


def knock(port: int, stopped: threading.Event) -> None:
    while not stopped.is_set():
        with suppress(OSError):
            socket.create_connection((HOST, port), PATIENCE_S).close()


def test_no_connection_is_left_open_by_a_refusal_that_comes_while_it_is_accepted(proxy: TcpProxy) -> None:
    stopped = threading.Event()
    callers = [threading.Thread(target=knock, args=(proxy.port, stopped)) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(REFUSALS):
            proxy.refuse()
            proxy.resume()
    finally:
        stopped.set()
        for caller in callers:
            caller.join()
    gc.collect()  # a connection that nobody closed warns here, and a warning is a failure
