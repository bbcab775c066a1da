"""Seeded runs of the real processes against the simulator and an adversary: act, misbehave, check the invariants."""
