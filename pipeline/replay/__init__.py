"""Running files through the real agents."""
