from __future__ import annotations

import socket

from mainstem.devstack.ports import COUNT, FIRST, HOST, choose, is_free


def anything(port: int) -> bool:
    return port > 0


def test_ports_are_kept_while_they_are_free() -> None:
    assert choose(["a", "b"], {"a": 5000, "b": 5001}, "seed", anything) == {"a": 5000, "b": 5001}


def test_a_kept_port_that_is_taken_is_replaced_and_the_other_kept() -> None:
    chosen = choose(["a", "b"], {"a": 5000, "b": 5001}, "seed", lambda port: port != 5000)
    assert chosen["b"] == 5001
    assert FIRST <= chosen["a"] < FIRST + COUNT


def test_no_two_names_get_one_port() -> None:
    chosen = choose(["a", "b", "c"], {"a": 5000, "b": 5000}, "seed", anything)
    assert len(set(chosen.values())) == 3


def test_a_project_gets_the_same_ports_again_without_notes() -> None:
    assert choose(["a", "b"], {}, "/one", anything) == choose(["a", "b"], {}, "/one", anything)


def test_projects_look_in_different_places() -> None:
    assert choose(["a"], {}, "/one", anything) != choose(["a"], {}, "/two", anything)


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)
