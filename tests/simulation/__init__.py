"""Seeded runs: the real processes under an adversary, and the simulator under random input."""
