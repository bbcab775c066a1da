"""One module per group of requests; each function answers one request of one session."""
