"""The instruments that exist here, their prices, and bars made from them."""
