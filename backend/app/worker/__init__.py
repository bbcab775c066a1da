"""The processes that hold the connections to the broker."""
