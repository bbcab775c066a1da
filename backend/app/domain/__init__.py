"""Plain rules of trading, without I/O: the same input gives the same answer, and time is an argument."""
