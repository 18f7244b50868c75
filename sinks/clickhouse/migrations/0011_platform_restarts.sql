-- When platforms began anew: their contacts that were open then ended at an unknown time. Every
-- partition is told of a restart, so one is written many times over.

CREATE TABLE IF NOT EXISTS platform_restarts
(
    `source` LowCardinality(String) COMMENT 'platform that began anew',
    `restarted_at` DateTime64(3, 'UTC') COMMENT 'when, by its own clock'
)
ENGINE = ReplacingMergeTree
ORDER BY (source, restarted_at)
COMMENT 'Moments at which platforms lost their open contacts.';
