-- Published exhibit values, and the definitions they follow. A value is identified by the key of its
-- record, so that a record without a value (nothing is published any more) can delete it.

CREATE TABLE IF NOT EXISTS kpi_values
(
    `key` String COMMENT 'identity of the value as JSON: exhibit, name, window, split, reading; the key on its topic',
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
    `dimensions` Map(LowCardinality(String), String) COMMENT 'the split, as dimensions[\'queue\']; "*" is the total, "" unknown',
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
    `version` UInt64 COMMENT 'when it was published, in epoch milliseconds; the highest replaces the others, of equal ones the last written',
    `deleted` UInt8 DEFAULT 0 COMMENT '1 when nothing is published under this key any more',
    CONSTRAINT key_is_given CHECK key != ''
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY (exhibit, `as`, key)
COMMENT 'Values of exhibits: the last published one of each window, split and reading.';

CREATE TABLE IF NOT EXISTS definitions
(
    `kpi` LowCardinality(String) COMMENT 'KPI',
    `kpi_version` UInt32 COMMENT 'version of the definition',
    `title` String COMMENT 'name for people',
    `unit` LowCardinality(String) COMMENT 'count, seconds, ratio, points or score',
    `direction` LowCardinality(String) COMMENT 'which way is better: higher, lower or none',
    `fact` LowCardinality(String) COMMENT 'kind of fact it is computed from',
    `attribution` LowCardinality(String) COMMENT 'which instant of a fact decides its window',
    `time` String COMMENT 'expression of that instant; null where a fact is not counted yet',
    `population` String COMMENT 'condition a fact must fulfil to be counted',
    `numerator` String COMMENT 'expression summed over the population',
    `denominator` String COMMENT 'expression summed over the population; it is also n',
    `parameters` String COMMENT 'parameters with type, default and limits, as JSON',
    `source` Array(String) COMMENT 'where the definition comes from',
    `traps` String COMMENT 'what is easily misread',
    `definition` String COMMENT 'the whole row of the catalogue, variants included, as JSON'
)
ENGINE = ReplacingMergeTree
ORDER BY (kpi, kpi_version)
COMMENT 'The written definition of every KPI, by version.';
