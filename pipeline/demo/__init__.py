"""Everything on one machine: the embedded parts, one worker, the simulator, a table."""
