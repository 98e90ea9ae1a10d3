"""What the development stack consists of. docker-compose.yml names the same versions; a test holds them equal."""

from __future__ import annotations

from typing import Final

KAFKA: Final = "4.3.1"
SCALA: Final = "2.13"
APICURIO: Final = "3.3.3"
POSTGRES: Final = "18"

KAFKA_IMAGE: Final = f"apache/kafka:{KAFKA}"
APICURIO_IMAGE: Final = f"apicurio/apicurio-registry:{APICURIO}"
POSTGRES_IMAGE: Final = f"postgres:{POSTGRES}"
