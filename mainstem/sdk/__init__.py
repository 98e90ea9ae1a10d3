"""What authors of connectors, streams and mappings write against."""
