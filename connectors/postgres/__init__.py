"""PostgreSQL as a target: rows and offsets in one transaction of the database."""

from connectors.postgres.sink import PostgresSink

__all__ = ["PostgresSink"]
