"""One journey told step by step, and how its effort is calibrated."""
