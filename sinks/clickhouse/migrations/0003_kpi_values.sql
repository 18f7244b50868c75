-- Published exhibit values, and the definitions they follow.

CREATE TABLE IF NOT EXISTS kpi_values
(
    `exhibit` LowCardinality(String) COMMENT 'exhibit that asked for the value',
    `exhibit_version` UInt32 COMMENT 'version of the exhibit',
    `kpi` LowCardinality(String) COMMENT 'KPI',
    `kpi_version` UInt32 COMMENT 'version of the KPI\'s definition',
    `as` LowCardinality(String) COMMENT 'name of the value within the exhibit',
    `parameters` LowCardinality(String) COMMENT 'all parameters as JSON, defaults filled in',
    `attribution` LowCardinality(String) COMMENT 'which instant of a fact decides its window',
    `window_kind` LowCardinality(String) COMMENT 'sliding, tumbling, today or all',
    `window_size` LowCardinality(String) COMMENT 'size as written in the exhibit; empty where the kind says it all',
    `window_start` Nullable(DateTime64(3, 'UTC')) COMMENT 'first instant of the window; null for all time',
    `window_end` Nullable(DateTime64(3, 'UTC')) COMMENT 'first instant after the window; null for all time',
    `dimensions` String CODEC(ZSTD(1)) COMMENT 'the split as JSON with sorted keys; "*" is the total, "" unknown',
    `dimension` Map(LowCardinality(String), String) ALIAS JSONExtract(dimensions, 'Map(LowCardinality(String), String)') COMMENT 'the split, for dimension[\'queue\']',
    `state` LowCardinality(String) COMMENT 'provisional, final or restated',
    `revision` UInt32 COMMENT 'published changes after the first final',
    `as_of` DateTime64(3, 'UTC') COMMENT 'clock of the log at which the value holds',
    `numerator` Nullable(Int64) COMMENT 'integer numerator; milliseconds for times',
    `denominator` Nullable(Int64) COMMENT 'integer denominator; null for gauges',
    `value` Nullable(Float64) COMMENT 'the KPI; null where nothing is counted',
    `unit` LowCardinality(String) COMMENT 'count, seconds, ratio, score or points',
    `n` Nullable(Int64) COMMENT 'what the value rests on: its denominator',
    `low` Nullable(Float64) COMMENT 'lower Wilson 95 % bound of a ratio',
    `high` Nullable(Float64) COMMENT 'upper Wilson 95 % bound of a ratio',
    `target` Nullable(String) COMMENT 'target as written in the exhibit',
    `status` LowCardinality(String) COMMENT 'met, missed, trending, n_below_min, undefined or no_target',
    `version` UInt64 COMMENT 'publish sequence; the highest replaces the others',
    `deleted` UInt8 DEFAULT 0 COMMENT '1 when the value was withdrawn, as a provisional one that became final'
)
ENGINE = ReplacingMergeTree(version, deleted)
-- A window of all time has no start; every real one begins after 1970.
ORDER BY (exhibit, exhibit_version, `as`, window_kind, window_size, ifNull(window_start, fromUnixTimestamp64Milli(0, 'UTC')), dimensions, state)
COMMENT 'Values of exhibits: the last published one of each window, cell and state.';

CREATE TABLE IF NOT EXISTS definitions
(
    `kpi` LowCardinality(String) COMMENT 'KPI',
    `kpi_version` UInt32 COMMENT 'version of the definition',
    `title` String COMMENT 'name for people',
    `unit` LowCardinality(String) COMMENT 'count, seconds, ratio, score or points',
    `direction` LowCardinality(String) COMMENT 'which way is better: up, down or none',
    `fact` LowCardinality(String) COMMENT 'kind of fact it is computed from',
    `numerator` String COMMENT 'numerator in SQL over that fact\'s view',
    `denominator` String COMMENT 'denominator in SQL over that fact\'s view; empty for counts',
    `parameters` String COMMENT 'parameters and their defaults as JSON',
    `attribution` LowCardinality(String) COMMENT 'which instant of a fact decides its window',
    `source` String COMMENT 'where the definition comes from',
    `traps` String COMMENT 'what is easily misread'
)
ENGINE = ReplacingMergeTree
ORDER BY (kpi, kpi_version)
COMMENT 'The written definition of every KPI, by version.';
