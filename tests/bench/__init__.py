"""Benchmarks over the running stack. They report figures and never judge them: machines differ and are noisy."""
