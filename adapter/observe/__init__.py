"""What operators see of a running adapter: metrics and health pages. Secrets are kept out of texts."""
