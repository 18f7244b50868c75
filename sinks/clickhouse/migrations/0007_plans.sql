-- Plan items and the costs of work as facts.

CREATE TABLE IF NOT EXISTS facts_plan
(
    `fact_id` String COMMENT 'identity, never changes',
    `version` UInt64 COMMENT 'made of content; the highest replaces the others',
    `deleted` UInt8 COMMENT '1 when this fact turned out not to be one',
    `interaction_id` String COMMENT 'root id, the same over all transfers',
    `customer_key` String COMMENT 'keyed hash of the customer, empty when unknown',
    `channel` LowCardinality(String) COMMENT 'channel of the interaction',
    `direction` LowCardinality(String) COMMENT 'inbound, outbound or internal',
    `queue` LowCardinality(String) COMMENT 'queue',
    `intent` LowCardinality(String) COMMENT 'what the customer wanted',
    `performer_kind` LowCardinality(String) COMMENT 'human, bot or hybrid',
    `performer_id` LowCardinality(String) COMMENT 'performer the fact is credited to',
    `model_version` LowCardinality(String) COMMENT 'version of the model, for bots',
    `kcr_task` LowCardinality(String) COMMENT 'key customer-related task',
    `capability` LowCardinality(String) COMMENT 'capability asked for',
    `client` LowCardinality(String) COMMENT 'client the work is done for',
    `vendor` LowCardinality(String) COMMENT 'outsourcer doing the work',
    `site` LowCardinality(String) COMMENT 'site of the performer',
    `location` LowCardinality(String) COMMENT 'site or home',
    `employment` LowCardinality(String) COMMENT 'employed or gig',
    `language` LowCardinality(String) COMMENT 'language of the contact',
    `source` LowCardinality(String) COMMENT 'platform that told it',
    `plan_id` String COMMENT 'the item\'s own id',
    `plan` LowCardinality(String) COMMENT 'forecast, required, schedule, rate, employment, absence ...',
    `activity` LowCardinality(String) COMMENT 'what it is about, by its plan: a rate\'s work, why somebody left',
    `plan_version` LowCardinality(String) COMMENT 'version of the plan that it belongs to',
    `owner` LowCardinality(String) COMMENT 'who answers for it',
    `subject` LowCardinality(String) COMMENT 'performer and KCR task it is about; empty without a performer',
    `starts_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'holds from',
    `ends_ms` Nullable(Int64) CODEC(T64, ZSTD(1)) COMMENT 'holds until, itself excluded; null while no end is known',
    `told_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'said last at',
    `value_micro` Int64 CODEC(T64, ZSTD(1)) COMMENT 'contacts, performers, units of cost ... in millionths',
    `starts_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`starts_ms`, 'UTC') COMMENT 'holds from',
    `ends_at` Nullable(DateTime64(3, 'UTC')) ALIAS fromUnixTimestamp64Milli(`ends_ms`, 'UTC') COMMENT 'holds until, itself excluded; null while no end is known',
    `told_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`told_ms`, 'UTC') COMMENT 'said last at'
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY fact_id
COMMENT 'One thing planned or agreed for a time: a forecast, a shift, a rate, an employment ...';

CREATE TABLE IF NOT EXISTS facts_cost
(
    `fact_id` String COMMENT 'identity, never changes',
    `version` UInt64 COMMENT 'made of content; the highest replaces the others',
    `deleted` UInt8 COMMENT '1 when this fact turned out not to be one',
    `interaction_id` String COMMENT 'root id, the same over all transfers',
    `customer_key` String COMMENT 'keyed hash of the customer, empty when unknown',
    `channel` LowCardinality(String) COMMENT 'channel of the interaction',
    `direction` LowCardinality(String) COMMENT 'inbound, outbound or internal',
    `queue` LowCardinality(String) COMMENT 'queue',
    `intent` LowCardinality(String) COMMENT 'what the customer wanted',
    `performer_kind` LowCardinality(String) COMMENT 'human, bot or hybrid',
    `performer_id` LowCardinality(String) COMMENT 'performer the fact is credited to',
    `model_version` LowCardinality(String) COMMENT 'version of the model, for bots',
    `kcr_task` LowCardinality(String) COMMENT 'key customer-related task',
    `capability` LowCardinality(String) COMMENT 'capability asked for',
    `client` LowCardinality(String) COMMENT 'client the work is done for',
    `vendor` LowCardinality(String) COMMENT 'outsourcer doing the work',
    `site` LowCardinality(String) COMMENT 'site of the performer',
    `location` LowCardinality(String) COMMENT 'site or home',
    `employment` LowCardinality(String) COMMENT 'employed or gig',
    `language` LowCardinality(String) COMMENT 'language of the contact',
    `source` LowCardinality(String) COMMENT 'platform that told it',
    `leg_id` String COMMENT 'leg served',
    `activity` LowCardinality(String) COMMENT 'performer_minute, bot_minute, bot_session or bot_turn',
    `rate_id` LowCardinality(String) COMMENT 'plan item whose rate it is',
    `accepted_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'began to serve at',
    `closed_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'work complete, wrap-up included',
    `told_ms` Int64 CODEC(T64, ZSTD(1)) COMMENT 'work complete, and its rate told',
    `work` Int64 CODEC(T64, ZSTD(1)) COMMENT 'milliseconds where the rate is a minute\'s, else how many',
    `rate_micro` Int64 CODEC(T64, ZSTD(1)) COMMENT 'units of cost a minute, session or turn, in millionths',
    `cost_micro` Int64 CODEC(T64, ZSTD(1)) COMMENT 'units of cost, in millionths',
    `accepted_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`accepted_ms`, 'UTC') COMMENT 'began to serve at',
    `closed_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`closed_ms`, 'UTC') COMMENT 'work complete, wrap-up included',
    `told_at` DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(`told_ms`, 'UTC') COMMENT 'work complete, and its rate told'
)
ENGINE = ReplacingMergeTree(version, deleted)
ORDER BY fact_id
COMMENT 'One kind of work of one stint of one performer, at the rate in force when it began.';

CREATE OR REPLACE VIEW plans AS
SELECT
    `fact_id`,
    `version`,
    `interaction_id`,
    `customer_key`,
    `channel`,
    `direction`,
    `queue`,
    `intent`,
    `performer_kind`,
    `performer_id`,
    `model_version`,
    `kcr_task`,
    `capability`,
    `client`,
    `vendor`,
    `site`,
    `location`,
    `employment`,
    `language`,
    `source`,
    `plan_id`,
    `plan`,
    `activity`,
    `plan_version`,
    `owner`,
    `subject`,
    `starts_ms`,
    `ends_ms`,
    `told_ms`,
    `value_micro`,
    `starts_at`,
    `ends_at`,
    `told_at`
FROM facts_plan FINAL
COMMENT 'One thing planned or agreed for a time: a forecast, a shift, a rate, an employment ...';

CREATE OR REPLACE VIEW costs AS
SELECT
    `fact_id`,
    `version`,
    `interaction_id`,
    `customer_key`,
    `channel`,
    `direction`,
    `queue`,
    `intent`,
    `performer_kind`,
    `performer_id`,
    `model_version`,
    `kcr_task`,
    `capability`,
    `client`,
    `vendor`,
    `site`,
    `location`,
    `employment`,
    `language`,
    `source`,
    `leg_id`,
    `activity`,
    `rate_id`,
    `accepted_ms`,
    `closed_ms`,
    `told_ms`,
    `work`,
    `rate_micro`,
    `cost_micro`,
    `accepted_at`,
    `closed_at`,
    `told_at`
FROM facts_cost FINAL
COMMENT 'One kind of work of one stint of one performer, at the rate in force when it began.';

CREATE OR REPLACE VIEW ai_performers AS
SELECT
    performer_id,
    kcr_task,
    argMaxIf(item.performer_kind, starts_ms, plan = 'employment') AS performer_kind,
    argMaxIf(item.model_version, starts_ms, plan = 'employment') AS model_version,
    argMaxIf(item.owner, starts_ms, plan = 'employment') AS owner,
    argMaxIf(item.client, starts_ms, plan = 'employment') AS client,
    argMaxIf(item.vendor, starts_ms, plan = 'employment') AS vendor,
    minIf(starts_at, plan = 'employment') AS in_service_from,
    tupleElement(argMaxIf(tuple(ends_at), starts_ms, plan = 'employment'), 1) AS in_service_until,
    maxOrNullIf(starts_at, plan = 'verification' AND value_micro > 0) AS verified_at,
    tupleElement(argMaxIf(tuple(ends_at), starts_ms, plan = 'verification' AND value_micro > 0), 1) AS verified_until,
    argMaxIf(item.model_version, starts_ms, plan = 'verification' AND value_micro > 0) AS verified_version,
    countIf(plan = 'ethics_check') AS ethics_checks,
    maxOrNullIf(starts_at, plan = 'ethics_check') AS ethics_checked_at,
    tupleElement(argMaxIf(tuple(ends_at), starts_ms, plan = 'ethics_check'), 1) AS ethics_checked_until,
    argMaxOrNullIf(value_micro > 0, starts_ms, plan = 'ethics_check') AS ethics_check_passed
FROM plans AS item
WHERE item.performer_kind IN ('bot', 'hybrid') AND item.performer_id != ''
GROUP BY performer_id, kcr_task
HAVING countIf(plan = 'employment') > 0
COMMENT 'AI performers by KCR task: version, owner, service, and the last verification and ethics check of each.';
