"""Whether an installation is as it must be: what was looked at, what was found, what to do."""
