"""The native Avro codec: plans compiled once from schemas, executed by a C extension where it was built."""
