"""Hosts one function over whole batches of raw records: the only place that knows Faust.

It imports nothing else of mainstem, so another engine can take its place behind the same names.
"""

from mainstem.process.engine.engine import Engine, EngineFailed, Hooks
from mainstem.process.engine.raw import RawMessage, RawRecord, Step
from mainstem.process.engine.settings import EngineSettings, Login

__all__ = ["Engine", "EngineFailed", "EngineSettings", "Hooks", "Login", "RawMessage", "RawRecord", "Step"]
