"""What a source is and what it yields."""
