"""How Django writes dates and times where a template does not say: in the admin, everywhere."""
