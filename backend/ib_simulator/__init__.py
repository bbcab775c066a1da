"""A peer for trading clients: speaks the TWS socket protocol over TCP and keeps an order book with IB's rules.

It is a program of its own (`python -m ib_simulator`), needs a calendar library, and knows nothing of its clients.

    bytes ─> framing ─> messages (requests) ─> gateway ─> desk (orders, brackets, OCA) ─> matching <─ market (prices)
    bytes <─ framing <─ messages (answers)  <─ gateway <─ notices                          journal <─ ledger
                                               control ─┘ (JSON lines: prices, fills, faults, the whole book)

Everything but `server`, `journal`, `client`, `process`, the programs (`__main__`, `replay`, `watch`) and the plugin for
pytest is free of I/O: bytes in, bytes out, time and randomness passed in.
"""
