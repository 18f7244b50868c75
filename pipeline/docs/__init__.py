"""Documents made from the code: ``python -m pipeline.docs`` writes what is generated in ``docs/``.

A page is generated as a whole, or has regions that are; a test fails while one is stale.
"""
