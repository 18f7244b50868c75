"""Exact under faults: the same load with and without them, and what is left compared.

Workers are processes on a real Kafka and a real ClickHouse. A trial feeds a seeded load while
faults hit; afterwards :mod:`tests.faults.checker` reads topics and tables, and nothing else.
Whether a fault did hit is counted: one that missed fails its test.
"""
