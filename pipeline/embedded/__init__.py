"""Services that need no installation beyond pip, or only Java: broker, ClickHouse, Kafka."""
