"""The REST edge: translates requests to services and errors to answers."""
