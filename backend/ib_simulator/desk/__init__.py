"""The order desk: what becomes of an order at IB, from its arrival to its end. Knows nothing of connections."""
