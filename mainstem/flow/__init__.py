"""State machines and decisions that the stages share. No I/O here."""
