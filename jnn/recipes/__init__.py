"""Networks by name and sensible studies for known kinds of data."""
