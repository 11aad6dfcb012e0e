"""One training on several ranks: they share every batch, and end together."""
