"""Errors, clock and logging. Plain Python that imports nothing of ours."""
