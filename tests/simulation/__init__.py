"""Runs that search: fuzzing and the like, for longer than a test suite may take."""
