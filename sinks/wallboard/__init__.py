"""The wallboard: one live page of exhibit values, from the committed values of every partition."""
