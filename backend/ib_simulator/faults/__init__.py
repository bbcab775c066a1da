"""What goes wrong on demand: the line, the answers, IB's servers, limits; and the switches of what is unknown."""
