"""Folds: pure functions from a set of events to rows."""
