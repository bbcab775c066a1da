"""The pages and the admin, as a browser asks for them."""
