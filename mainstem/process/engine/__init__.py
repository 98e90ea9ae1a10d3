"""Hosts one function over whole batches of raw records, exactly once, as a Faust app.

It imports nothing else of mainstem but the engine for any Faust app, `process/librdkafka`.
"""

from mainstem.process.engine.engine import Engine, EngineFailed, Hooks, Step
from mainstem.process.engine.settings import EngineSettings

__all__ = ["Engine", "EngineFailed", "EngineSettings", "Hooks", "Step"]
