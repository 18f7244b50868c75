"""Faust agents: one file each, named after what it produces."""
