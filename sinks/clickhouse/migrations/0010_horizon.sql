-- What comes too late for the stream, and what the stream has let go of.

CREATE TABLE IF NOT EXISTS late_records
(
    `event_id` String COMMENT 'accepted event',
    `interaction_id` String COMMENT 'interaction, plan or performer it tells of',
    `kind` LowCardinality(String) COMMENT 'what happened',
    `source` LowCardinality(String) COMMENT 'platform that told it',
    `channel` LowCardinality(String) COMMENT 'channel of the interaction',
    `occurred_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'when it happened, by the source\'s clock',
    `clock_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'clock of the log when it came',
    `content_hash` UInt64 COMMENT 'hash of its content, as in interaction_events',
    `reason` LowCardinality(String) COMMENT 'late: it tells of what is frozen; detached: an annotation whose interaction is not known',
    `version` UInt64 COMMENT 'the highest replaces the others',
    `deleted` UInt8 COMMENT '1 once the interaction of a detached annotation has come',
    `occurred_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`occurred_ms`, 'UTC') COMMENT 'when it happened, by the source\'s clock',
    `clock_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`clock_ms`, 'UTC') COMMENT 'clock of the log when it came'
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (event_id, interaction_id, reason)
COMMENT 'Accepted events that came when what they tell of was frozen. Those that had been counted before are among them.';

CREATE TABLE IF NOT EXISTS frozen_interactions
(
    `interaction_id` String COMMENT 'interaction of which the stream keeps nothing but sums',
    `event_ids` Array(String) CODEC(ZSTD(3)) COMMENT 'events that were counted',
    `content_hashes` Array(UInt64) COMMENT 'hash of the content of each of them, as in interaction_events',
    `clock_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'clock of the log when it froze',
    `clock_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`clock_ms`, 'UTC') COMMENT 'clock of the log when it froze'
)
ENGINE = ReplacingMergeTree
ORDER BY (interaction_id, event_ids)
COMMENT 'Interactions that nothing in the stream can change any more.';

CREATE TABLE IF NOT EXISTS dirty_intervals
(
    `exhibit` LowCardinality(String) COMMENT 'exhibit',
    `exhibit_version` UInt32 COMMENT 'version of the exhibit',
    `cell` Array(String) COMMENT 'values of its split, in the order of the exhibit',
    `start_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'beginning of the quarter hour',
    `clock_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'clock of the log at the correction',
    `done` UInt8 COMMENT '1 once its values were computed again',
    `stored_at` DateTime('UTC') MATERIALIZED now() COMMENT 'when it was stored',
    `version` UInt64 COMMENT 'twice the clock, and 1 more once it is done; the highest replaces the others',
    `start_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`start_ms`, 'UTC') COMMENT 'beginning of the quarter hour',
    `clock_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`clock_ms`, 'UTC') COMMENT 'clock of the log at the correction'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (exhibit, exhibit_version, start_ms, cell)
COMMENT 'Quarter hours corrected after the stream had let them go: cxstream recompute computes their values again.';

CREATE OR REPLACE VIEW uncounted_events AS
SELECT event_id
FROM late_records FINAL
WHERE reason = 'detached' OR (event_id, interaction_id) NOT IN
(
    SELECT arrayJoin(event_ids), interaction_id
    FROM frozen_interactions
    WHERE interaction_id IN (SELECT interaction_id FROM late_records)
)
COMMENT 'Accepted events that are in no number: they came too late, and were not known before.';
