"""Published values against a second computation in SQL: from facts, and from accepted events."""
