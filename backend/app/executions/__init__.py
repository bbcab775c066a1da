"""What was done about a setup: executions, their brackets, orders, fills and what the broker told."""
