"""What is run inside a client's own environment: needs that client and the standard library, nothing else."""
