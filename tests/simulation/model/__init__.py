"""The pure policies beside a small model of the broker: every state that is reachable (docs/simulation.md)."""
