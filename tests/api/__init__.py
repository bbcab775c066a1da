"""The REST edge, against a real PostgreSQL and Redis; nothing is mocked."""
