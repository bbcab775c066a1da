"""The services against a real database and a real Redis, with a hand-written broker."""
