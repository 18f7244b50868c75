"""Stages: what agents do with records, free of Kafka."""
