"""Conversations on file: recorded, checked against a fresh gateway, played to a client."""
