"""What the analyst intends."""
