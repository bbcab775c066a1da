"""The brokers behind one protocol in domain words. Only `brokers.ib` knows Interactive Brokers' library."""
