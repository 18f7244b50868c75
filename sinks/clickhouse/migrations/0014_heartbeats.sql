-- Heartbeats: records that go the way of an interaction and are none. One row a place, the newest.

CREATE TABLE IF NOT EXISTS heartbeats
(
    `topic` LowCardinality(String) COMMENT 'topic that the sink read it from',
    `source` LowCardinality(String) COMMENT 'topic and partition that it was written into',
    `written_at` DateTime64(3, 'UTC') COMMENT 'when it was written there'
)
ENGINE = ReplacingMergeTree(written_at)
ORDER BY (topic, source)
COMMENT 'How far the pipeline has come: the newest heartbeat of each place. In no number.';
