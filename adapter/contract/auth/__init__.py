"""How requests to one HTTP server are authenticated: the fields in ``spec``, and what is wrong with them. Pure."""
