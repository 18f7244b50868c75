"""Sinks: where facts and values go."""
