-- Refused records: where they are and why, never their bytes, which are personal data. The hash is
-- part of the identity because a topic made anew counts its offsets from 0 again.

CREATE TABLE IF NOT EXISTS dead_letters
(
    `topic` LowCardinality(String) COMMENT 'topic of the refused record',
    `partition` Int32 COMMENT 'its partition',
    `offset` Int64 COMMENT 'its offset',
    `reason` LowCardinality(String) COMMENT 'why it was refused, one of a fixed list',
    `detail` String COMMENT 'which field and rule; no content of the record',
    `size_bytes` UInt64 COMMENT 'size of the record\'s value',
    `sha256` String COMMENT 'SHA-256 of the record\'s value in hexadecimal',
    `refused_at` DateTime64(3, 'UTC') COMMENT 'when it was refused, by the broker\'s clock'
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset, sha256)
COMMENT 'Records that could not become events.';
