"""Commands that need the edge's own rows, such as tokens."""
