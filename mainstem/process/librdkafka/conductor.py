"""Which channel reads which topic: Faust's own, with less patience."""

from __future__ import annotations

from faust.transport.conductor import Conductor as BaseConductor

RESUBSCRIBE_S = 5.0
"""Longer than the 3 s after which Faust puts up who reads the replies: it finds its place in the same change."""


class Conductor(BaseConductor):
    """Faust waits 45 s before it subscribes to a topic that comes late, so that several such share one rebalance. The
    first `ask` of a process makes one for the replies, and would wait that long."""

    _resubscribe_sleep_lock_seconds = RESUBSCRIBE_S
