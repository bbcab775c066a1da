"""Seeded runs: of the real processes under an adversary with its invariants, and of the simulator under random input."""
