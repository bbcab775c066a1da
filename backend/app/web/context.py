"""What every page is told."""
