"""The broker accounts we may trade: their mode, worth and connection."""
