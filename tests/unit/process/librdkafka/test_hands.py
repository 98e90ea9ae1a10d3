"""One message, several agents: each takes it once and acknowledges it once, or fails with it."""

from __future__ import annotations

from mainstem.process.librdkafka.hands import Hands


class Message:
    """As Faust counts: how many have not acknowledged it."""

    def __init__(self, readers: int) -> None:
        self.refcount = readers


def acknowledge(hands: Hands, message: Message) -> None:
    message.refcount -= 1
    if not message.refcount:
        hands.finish(message)


def test_an_agent_is_busy_from_taking_a_message_to_acknowledging_it() -> None:
    hands, message = Hands(), Message(readers=1)
    assert hands.busy() == 0
    hands.take(message)
    assert hands.busy() == 1
    acknowledge(hands, message)
    assert hands.busy() == 0
    assert not hands.has_half_done


def test_nobody_is_busy_with_what_still_waits_for_its_second_agent() -> None:
    hands, message = Hands(), Message(readers=2)
    hands.take(message)
    acknowledge(hands, message)
    assert hands.busy() == 0
    assert hands.has_half_done


def test_each_agent_of_a_message_is_waited_for() -> None:
    hands, message = Hands(), Message(readers=3)
    hands.take(message)
    hands.take(message)
    acknowledge(hands, message)
    assert hands.busy() == 1
    acknowledge(hands, message)
    assert hands.busy() == 0
    hands.take(message)
    assert hands.busy() == 1
    acknowledge(hands, message)
    assert (hands.busy(), hands.has_half_done) == (0, False)


def test_an_agent_that_failed_is_not_busy_and_may_take_it_again() -> None:
    hands, message = Hands(), Message(readers=1)
    hands.take(message)
    hands.put_back(message)
    assert hands.busy() == 0
    hands.take(message)
    assert hands.busy() == 1


def test_what_is_dropped_is_forgotten_once_nobody_is_in_the_middle_of_it() -> None:
    hands, dropped, running = Hands(), Message(readers=2), Message(readers=2)
    for message in (dropped, running):
        hands.take(message)
    acknowledge(hands, dropped)
    hands.drop()
    assert hands.busy() == 1
    acknowledge(hands, running)
    assert hands.has_half_done
    hands.drop()
    assert not hands.has_half_done
