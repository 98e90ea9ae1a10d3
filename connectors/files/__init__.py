"""Files in: the rows of a CSV or the lines of an NDJSON file become events."""

from connectors.files.source import FileSource

__all__ = ["FileSource"]
