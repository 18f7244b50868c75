"""The contract: events, facts, values, exhibits, topics, platforms."""
