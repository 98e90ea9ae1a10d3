"""Event <-> bytes: Avro in the Confluent wire format, the schema registry, and the record headers."""
