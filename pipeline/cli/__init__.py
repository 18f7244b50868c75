"""The command ``cxstream``, one module a command."""
