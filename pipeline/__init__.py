"""The pipeline: pure cores, stages, and the parts that run them."""
