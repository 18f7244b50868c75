"""The ClickHouse sink: client, retrying writer, migrations."""
