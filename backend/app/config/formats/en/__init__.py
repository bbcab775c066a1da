"""The only language of the pages."""
