"""TLS and HTTP client details that delivery and polling share."""
