-- The exhibit of truth.yaml, computed a second time: from raw events alone, in SQL alone.
--
-- Each statement makes one table from the ones before, in a database of its own, so that whoever looks
-- for the reason of a difference can read what lies between. The definitions are those of the KPI
-- reference; nothing here was generated from the product or shares a line with it.
--
-- {source}, {events}  database and table of accepted events; late ones are in its view uncounted_events
-- {as_of_ms}  the clock: events that occurred later are not known
-- {zone}      time zone of local days
-- It runs with prefer_column_name_to_alias = 1, as standard SQL reads names.
--
-- Times are UTC epoch milliseconds, durations milliseconds. Left out, since the simulator tells none of
-- it: whole records that replace durations, durations measured by the platform (but for the wait of an
-- answer), restarts of a platform, several sessions under one id, two performers who take a contact on
-- one leg one after the other without a word between, directions other than inbound.

-- ----------------------------------------------------------------------------------------------------
-- What is known of each interaction, in order: time, then the source's own sequence.
CREATE TABLE told ENGINE = Memory AS
SELECT
    interaction_id,
    row_number() OVER (PARTITION BY interaction_id ORDER BY occurred_at, ifNull(source_seq, 0), event_id) AS place,
    toUnixTimestamp64Milli(occurred_at) AS at_ms,
    toString(kind) AS kind,
    toString(channel) AS channel,
    toString(direction) AS direction,
    ifNull(toString(queue), '') AS queue,
    ifNull(leg_id, interaction_id) AS leg,
    ifNull(customer_key, '') AS customer,
    ifNull(toString(intent), '') AS intent,
    ifNull(toString(performer_id), '') AS performer,
    ifNull(toString(performer_kind), 'human') AS performer_kind,
    ifNull(toString(via), '') AS via,
    ifNull(toString(transfer_kind), '') AS transfer_kind,
    ifNull(toString(outcome), '') AS outcome,
    ifNull(toString(ended_by), '') AS ended_by,
    resolved, user_turn, context_ok, wait_ms,
    ifNull(survey_id, '') AS survey, ifNull(toString(question), '') AS question, scale, score
FROM {source:Identifier}.{events:Identifier} FINAL
WHERE occurred_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
    -- Late records are in neither side.
    AND event_id NOT IN (SELECT event_id FROM {source:Identifier}.uncounted_events)
    AND kind NOT IN (
        'performer_state', 'plan',
        'evaluation', 'ai_decision', 'case_opened', 'case_resolved', 'case_reopened'
    );

-- ----------------------------------------------------------------------------------------------------
-- Bot sessions: from one bot_started to the first event that takes the contact from the bot.
--   bot_ended: as it says. handoff, or a queue entered: handed off. completed: resolved if it says so,
--   else left if the customer ended it. abandoned: left. A human accepts: ended.
-- A user turn is one not said to be the bot's.
CREATE TABLE bot_parts ENGINE = Memory AS
WITH numbered AS
(
    SELECT
        *,
        countIf(kind = 'bot_started') OVER (PARTITION BY interaction_id ORDER BY place) AS session,
        kind IN ('bot_ended', 'handoff', 'queued', 'completed', 'abandoned')
            OR (kind = 'accepted' AND performer_kind != 'bot') AS takes_over
    FROM told
)
SELECT
    interaction_id,
    session,
    minIf(at_ms, kind = 'bot_started') AS started_ms,
    argMinIf(queue, place, kind = 'bot_started') AS queue,
    countIf(kind = 'bot_turn' AND user_turn IS DISTINCT FROM false) AS turns,
    countIf(takes_over) > 0 AS over,
    minIf(at_ms, takes_over) AS over_ms,
    argMinIf(kind, place, takes_over) AS over_kind,
    argMinIf(outcome, place, takes_over) AS over_outcome,
    argMinIf(ended_by, place, takes_over) AS over_by,
    argMinIf(ifNull(resolved, false), place, takes_over) AS over_resolved,
    countIf(kind = 'handoff' AND context_ok = false) > 0 AS context_lost,
    minIf(place, takes_over) AS over_place,
    -- Whoever accepts first after the handoff takes it over, unless the customer has left the queue.
    arrayFirst(
        event -> event.1 > over_place AND event.2 IN ('accepted', 'abandoned'),
        arraySort(groupArrayIf((place, kind, at_ms), kind = 'abandoned' OR (kind = 'accepted' AND performer_kind != 'bot')))
    ) AS next_step
FROM numbered
WHERE session > 0
GROUP BY interaction_id, session;

-- ----------------------------------------------------------------------------------------------------
-- Beginning and end of interactions. An end holds unless the contact is queued or accepted after it.
-- Who is silent for too long has ended, unknown, with the last sign of life: a contact that only a bot
-- serves after 60 minutes, voice and messaging after 24 hours, everything else after 7 days.
-- Surveys say something about an interaction and are no part of it.
CREATE TABLE spans ENGINE = Memory AS
WITH
    lives AS
    (
        SELECT
            interaction_id,
            min(at_ms) AS started_ms,
            max(at_ms) AS last_sign_ms,
            argMin(channel, place) AS channel,
            argMin(direction, place) AS direction,
            argMaxIf(customer, place, customer != '') AS customer,
            argMaxIf(intent, place, intent != '') AS intent,
            argMinIf(queue, place, kind IN ('queued', 'accepted') AND queue != '') AS queue,
            countIf(kind = 'transfer' AND performer_kind != 'bot') AS transfers,
            countIf(kind = 'authenticated') AS authentications,
            countIf(kind = 'info_repeated') AS info_repeats,
            maxIf(place, kind IN ('completed', 'abandoned') OR (kind = 'bot_ended' AND outcome != 'handoff')) AS end_place,
            argMaxIf(at_ms, place, kind IN ('completed', 'abandoned') OR (kind = 'bot_ended' AND outcome != 'handoff')) AS end_ms,
            maxIf(place, kind IN ('queued', 'accepted')) AS goes_on_place
        FROM told
        WHERE kind NOT IN ('survey_sent', 'survey_answered')
        GROUP BY interaction_id
    ),
    bots AS
    (
        SELECT interaction_id, countIf(NOT over) > 0 AS bot_serves
        FROM bot_parts
        GROUP BY interaction_id
    ),
    ends AS
    (
        SELECT
            lives.*,
            end_place > goes_on_place AS said_to_end,
            last_sign_ms + multiIf(
                bot_serves, 3600000,
                channel IN ('voice', 'web_chat', 'wechat', 'whatsapp', 'facebook', 'instagram', 'line', 'sms'), 86400000,
                604800000
            ) AS silent_until_ms
        FROM lives
        LEFT JOIN bots USING (interaction_id)
    )
SELECT
    interaction_id, started_ms, channel, customer, intent, queue, transfers, authentications, info_repeats, last_sign_ms,
    NOT said_to_end AND silent_until_ms <= {as_of_ms:Int64} AS given_up,
    multiIf(said_to_end, toNullable(end_ms), given_up, last_sign_ms, NULL) AS ended_ms
FROM ends
WHERE direction = 'inbound';

-- ----------------------------------------------------------------------------------------------------
-- Stays in queues: from queued to the next event on the same leg that ends a wait.
-- A hold-up is an abandon if the customer went; with an unknown end the wait is unknown too.
CREATE TABLE stays ENGINE = Memory AS
WITH steps AS
(
    SELECT
        interaction_id, place, queue, kind, at_ms,
        lead(toNullable(kind)) OVER following AS next_kind,
        lead(toNullable(at_ms)) OVER following AS next_ms,
        lead(toNullable(ended_by)) OVER following AS next_by,
        lead(wait_ms) OVER following AS measured_ms
    FROM told
    WHERE kind IN ('queued', 'left_queue', 'abandoned', 'completed')
        OR (kind = 'accepted' AND via NOT IN ('direct', 'consult', 'conference'))
    WINDOW following AS (PARTITION BY interaction_id, leg ORDER BY place)
)
SELECT
    interaction_id,
    place,
    steps.queue AS queue,
    at_ms AS entered_ms,
    multiIf(
        next_kind = 'accepted', 'answered',
        next_kind = 'abandoned' OR (next_kind = 'completed' AND next_by = 'customer'), 'abandoned',
        next_kind IN ('left_queue', 'queued'), 'flow_out',
        next_kind = 'completed' OR given_up, 'ended',
        'waiting'
    ) AS outcome,
    next_ms AS left_ms,
    if(next_kind = 'accepted', coalesce(measured_ms, next_ms - at_ms), next_ms - at_ms) AS wait_ms
FROM steps
INNER JOIN spans USING (interaction_id)
WHERE kind = 'queued';

-- ----------------------------------------------------------------------------------------------------
-- Stints: bots from their sessions; humans from accepted to the first of: they leave, they pass the
-- contact on blindly, they begin to wrap up, the contact is completed on their leg.
--   handle time = talk + hold + wrap-up. Hold: from hold to resume, or to the end of the stint.
--   The work is complete after wrap-up, where there is one, else at the end of the stint.
-- A bot has handled what it gave a turn to, resolved or handed over.
CREATE TABLE stints ENGINE = Memory AS
WITH
    completions AS
    (
        SELECT interaction_id, leg, groupArray((place, at_ms)) AS found
        FROM told
        WHERE kind = 'completed'
        GROUP BY interaction_id, leg
    ),
    own AS
    (
        SELECT
            *,
            countIf(kind = 'accepted') OVER (PARTITION BY interaction_id, performer ORDER BY place) AS stint
        FROM told
        WHERE performer != '' AND performer_kind != 'bot'
    ),
    parts AS
    (
        SELECT
            interaction_id, performer, stint,
            minIf(place, kind = 'accepted') AS place,
            minIf(at_ms, kind = 'accepted') AS accepted_ms,
            argMinIf(queue, place, kind = 'accepted') AS queue,
            argMinIf(leg, place, kind = 'accepted') AS leg,
            groupArrayIf(at_ms, kind IN ('left', 'wrapup_started') OR (kind = 'transfer' AND transfer_kind = 'blind')) AS ends_ms,
            arraySort(groupArrayIf((place, kind, at_ms), kind IN ('hold', 'resume'))) AS holds,
            countIf(kind = 'transfer') > 0 AS transferred,
            maxIf(toNullable(at_ms), kind = 'wrapup_started') AS wrap_started_ms,
            maxIf(toNullable(at_ms), kind = 'wrapup_ended') AS wrap_ended_ms
        FROM own
        WHERE stint > 0
        GROUP BY interaction_id, performer, stint
    ),
    ended AS
    (
        SELECT
            parts.*,
            arrayConcat(ends_ms, arrayMap(end -> end.2, arrayFilter(end -> end.1 > place, completions.found))) AS all_ends_ms,
            if(empty(all_ends_ms), NULL, toNullable(arrayMin(all_ends_ms))) AS left_ms,
            -- While the last word is hold, the customer is on hold.
            arraySum(
                (step, next_ms) -> if(step.2 = 'hold', least(next_ms, ifNull(left_ms, 0)) - least(step.3, ifNull(left_ms, 0)), 0),
                holds,
                arraySlice(arrayPushBack(arrayMap(step -> step.3, holds), ifNull(left_ms, 0)), 2)
            ) AS hold_ms
        FROM parts
        LEFT JOIN completions USING (interaction_id, leg)
    )
SELECT
    interaction_id, place, 'human' AS performer_kind, ended.queue AS queue, accepted_ms, left_ms,
    multiIf(left_ms IS NULL, NULL, wrap_started_ms IS NULL, left_ms, wrap_ended_ms) AS closed_ms,
    left_ms - accepted_ms - hold_ms AS talk_ms,
    hold_ms,
    if(wrap_started_ms IS NULL, 0, wrap_ended_ms - wrap_started_ms) AS wrap_ms,
    true AS handled,
    transferred,
    '' AS outcome,
    CAST(NULL, 'Nullable(Int64)') AS handoff_ms,
    CAST(NULL, 'Nullable(Int64)') AS handoff_accepted_ms,
    false AS context_lost
FROM ended
INNER JOIN spans USING (interaction_id)
UNION ALL
SELECT
    interaction_id, 0 AS place, 'bot', bot_parts.queue, bot_parts.started_ms,
    multiIf(over, toNullable(over_ms), given_up, last_sign_ms, NULL) AS left_ms,
    left_ms AS closed_ms,
    left_ms - bot_parts.started_ms AS talk_ms, 0 AS hold_ms, 0 AS wrap_ms,
    turns > 0 OR outcome IN ('resolved', 'handoff') AS handled,
    false AS transferred,
    multiIf(
        NOT over, if(given_up, 'timed_out', ''),
        over_kind = 'bot_ended', over_outcome,
        over_kind IN ('handoff', 'queued'), 'handoff',
        over_kind = 'completed' AND over_resolved, 'resolved',
        over_kind = 'abandoned' OR (over_kind = 'completed' AND over_by = 'customer'), 'left',
        'ended'
    ) AS outcome,
    if(outcome = 'handoff', left_ms, NULL) AS handoff_ms,
    if(outcome = 'handoff' AND next_step.2 = 'accepted', toNullable(next_step.3), NULL) AS handoff_accepted_ms,
    outcome = 'handoff' AND context_lost AS context_lost
FROM bot_parts
INNER JOIN spans USING (interaction_id);

-- ----------------------------------------------------------------------------------------------------
-- Interactions with what their parts add up to. Abandoned: the customer's leaving of a queue ended it.
CREATE TABLE whole ENGINE = Memory AS
WITH
    waits AS
    (
        SELECT
            interaction_id,
            sum(ifNull(wait_ms, 0)) AS waited_ms,
            argMax(outcome, place) AS last_outcome,
            argMax(left_ms, place) AS last_left_ms
        FROM stays
        GROUP BY interaction_id
    ),
    work AS
    (
        SELECT
            interaction_id,
            countIf(handled) AS stint_count,
            countIf(handled AND closed_ms IS NULL) AS open_count,
            maxIf(closed_ms, handled) AS last_closed_ms,
            sumIf(talk_ms + hold_ms + wrap_ms, handled) AS handle_ms,
            sum(context_lost) AS contexts_lost,
            -- Who served last is who left last.
            argMaxIf(queue, (left_ms IS NULL, ifNull(left_ms, 0), place), handled) AS last_queue
        FROM stints
        GROUP BY interaction_id
    )
SELECT
    interaction_id, spans.started_ms AS started_ms, spans.ended_ms AS ended_ms, spans.channel AS channel,
    spans.customer AS customer, spans.intent AS intent, spans.queue AS queue, spans.transfers AS transfers,
    spans.authentications AS authentications, spans.info_repeats AS info_repeats,
    ifNull(waited_ms, 0) AS waited_ms,
    stint_count > 0 AS handled,
    last_outcome = 'abandoned' AND ifNull(last_left_ms = spans.ended_ms, false) AS abandoned,
    stint_count > 0 AND open_count = 0 AND spans.ended_ms IS NOT NULL AS work_done,
    if(work_done, greatest(spans.ended_ms, last_closed_ms), NULL) AS closed_ms,
    handle_ms,
    contexts_lost,
    if(stint_count > 0 AND last_queue != '', last_queue, spans.queue) AS credited_queue
FROM spans
LEFT JOIN waits USING (interaction_id)
LEFT JOIN work USING (interaction_id);

-- ----------------------------------------------------------------------------------------------------
-- Surveys, credited to the queue of who served last.
CREATE TABLE answers ENGINE = Memory AS
SELECT
    interaction_id,
    survey,
    any(whole.credited_queue) AS queue,
    any(ifNull(whole.ended_ms, whole.started_ms)) AS about_ms,
    minIf(toNullable(at_ms), kind = 'survey_sent') AS sent_ms,
    maxIf(toNullable(at_ms), kind = 'survey_answered') AS answered_ms,
    anyIf(told.question, kind = 'survey_answered') AS question,
    anyIf(told.scale, kind = 'survey_answered') AS scale,
    anyIf(told.score, kind = 'survey_answered') AS score
FROM told
INNER JOIN whole USING (interaction_id)
WHERE kind IN ('survey_sent', 'survey_answered')
GROUP BY interaction_id, survey;

-- ----------------------------------------------------------------------------------------------------
-- Contacts of known customers with their neighbours: the next start after the end, the last end before
-- the start. Same intent: of those with the same intent.
CREATE TABLE contacts ENGINE = Memory AS
WITH histories AS
(
    SELECT customer, groupArray((started_ms, ended_ms, intent)) AS all_contacts
    FROM whole
    WHERE customer != ''
    GROUP BY customer
)
SELECT
    interaction_id, queue, started_ms, ended_ms, handled AND NOT abandoned AS eligible,
    arrayExists(c -> ifNull(c.1 > ended_ms AND c.1 - ended_ms <= 604800000, false), all_contacts) AS came_back_any,
    arrayExists(c -> c.3 = intent AND ifNull(c.1 > ended_ms AND c.1 - ended_ms <= 604800000, false), all_contacts) AS came_back,
    arrayExists(c -> ifNull(c.2 < started_ms AND started_ms - c.2 <= 604800000, false), all_contacts) AS was_here_any,
    arrayExists(c -> c.3 = intent AND ifNull(c.2 < started_ms AND started_ms - c.2 <= 604800000, false), all_contacts) AS was_here
FROM whole
INNER JOIN histories USING (customer);

-- Journeys: contacts of one customer that name one case, else on one intent with no gap of more than 7
-- days; a contact of an unknown customer is a journey alone.
CREATE TABLE journeys ENGINE = Memory AS
WITH
    matters AS
    (
        SELECT
            interaction_id,
            argMax(if(ifNull(case_id, '') != '', case_id, interaction_id), (occurred_at, ifNull(source_seq, 0), event_id)) AS matter
        FROM {source:Identifier}.{events:Identifier} FINAL
        WHERE occurred_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
            AND kind NOT IN ('performer_state', 'plan')
            AND (ifNull(case_id, '') != '' OR kind IN ('case_opened', 'case_resolved', 'case_reopened'))
        GROUP BY interaction_id
    ),
    linked AS
    (
        SELECT
            *,
            if(customer = '', interaction_id, customer) AS who,
            if(matter != '' AND customer != '', (matter, ''), ('', intent)) AS chain,
            max(ifNull(ended_ms, started_ms)) OVER before_it AS reached_ms,
            count() OVER before_it AS earlier,
            lag(channel) OVER in_order AS last_channel,
            earlier = 0 OR (chain.1 = '' AND started_ms - reached_ms > 604800000) AS begins
        FROM whole
        LEFT JOIN matters USING (interaction_id)
        WINDOW
            in_order AS (PARTITION BY who, chain ORDER BY started_ms, interaction_id),
            before_it AS (PARTITION BY who, chain ORDER BY started_ms, interaction_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    numbered AS
    (
        SELECT *, sum(begins) OVER (PARTITION BY who, chain ORDER BY started_ms, interaction_id) AS number
        FROM linked
    )
SELECT
    argMin(queue, (started_ms, interaction_id)) AS queue,
    min(started_ms) AS began_ms,
    -- Millionths. 1 a further contact, 2 a change of channel, 2 a transfer, 1 a lost context, 2 a
    -- further authentication, 1 a repeated information, 0.2 a minute of waiting.
    1000000 * (toInt64(count()) - 1)
        + 2000000 * toInt64(countIf(NOT begins AND channel != last_channel))
        + 2000000 * toInt64(sum(transfers))
        + 1000000 * toInt64(sum(contexts_lost))
        + 2000000 * greatest(toInt64(sum(authentications)) - 1, 0)
        + 1000000 * toInt64(sum(info_repeats))
        + toInt64(round(200000 * sum(waited_ms) / 60000)) AS effort
FROM numbered
GROUP BY who, chain, number;

-- ----------------------------------------------------------------------------------------------------
-- Performers' states by queue: the last one told.
CREATE TABLE performers ENGINE = Memory AS
SELECT
    ifNull(toString(performer_id), '') AS performer,
    ifNull(toString(queue), '') AS queue,
    argMax(toString(state), (occurred_at, ifNull(source_seq, 0), event_id)) AS state
FROM {source:Identifier}.{events:Identifier} FINAL
WHERE occurred_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
    AND kind = 'performer_state' AND direction = 'inbound'
GROUP BY performer, queue;

-- ----------------------------------------------------------------------------------------------------
-- One row for each time something counts for a KPI: name, reading, where, when, with what.
CREATE TABLE counted ENGINE = Memory AS
WITH
    stay_values AS
    (
        SELECT
            queue, entered_ms,
            ifNull(wait_ms, 0) AS wait,
            outcome = 'answered' AS is_answered,
            outcome = 'abandoned' AS is_abandoned,
            is_answered AND wait <= 20000 AS in_time,
            is_abandoned AND wait <= 20000 AS gone_in_time,
            is_abandoned AND wait < 5000 AS gone_at_once,
            [
                ('offered', true, 1),
                ('answered', is_answered, 1),
                ('abandoned', is_abandoned, 1),
                ('flow_outs', outcome = 'flow_out', 1),
                ('short_abandons', gone_at_once, 1),
                ('asa', is_answered, wait),
                ('mean_time_to_abandon', is_abandoned, wait),
                ('abandon_rate', true, is_abandoned),
                ('abandon_rate_long', NOT gone_at_once, is_abandoned),
                -- Six service levels: answered in time over ...
                ('service_level', is_answered OR is_abandoned, in_time),
                ('service_level_b', is_answered OR (is_abandoned AND NOT gone_in_time), in_time),
                ('service_level_c', is_answered OR is_abandoned, in_time OR gone_in_time),
                ('service_level_d', is_answered, in_time),
                ('service_level_e', is_answered OR (is_abandoned AND NOT gone_at_once), in_time),
                ('service_level_f', is_answered OR is_abandoned, in_time OR gone_at_once)
            ]::Array(Tuple(String, Bool, Int64)) AS kpis
        FROM stays
    ),
    -- Work counts when it is complete, a bot's outcome when its session ends.
    stint_values AS
    (
        SELECT
            *,
            [
                ('handled', closed_ms, handled, 1),
                ('aht', closed_ms, handled, talk_ms + hold_ms + wrap_ms),
                ('talk_time', closed_ms, handled, talk_ms),
                ('hold_time', closed_ms, handled, hold_ms),
                ('hold_time_with', closed_ms, handled AND ifNull(hold_ms > 0, false), hold_ms),
                ('wrap_time', closed_ms, handled, wrap_ms),
                ('wrap_time_with', closed_ms, handled AND ifNull(wrap_ms > 0, false), wrap_ms),
                ('transfer_rate_segment', closed_ms, handled, transferred),
                ('bot_sessions', accepted_ms, performer_kind = 'bot', 1),
                ('containment_naive', left_ms, outcome != '', outcome != 'handoff'),
                ('handoff_rate', left_ms, outcome != '', outcome = 'handoff'),
                ('bot_handle_time', left_ms, outcome != '', left_ms - accepted_ms),
                ('handoff_wait', handoff_accepted_ms, true, handoff_accepted_ms - handoff_ms)
            ]::Array(Tuple(String, Nullable(Int64), Bool, Nullable(Int64))) AS kpis
        FROM stints
    ),
    interaction_values AS
    (
        SELECT
            *,
            [
                ('interactions', started_ms, true, 1),
                ('transfer_rate', ended_ms, handled, transfers > 0),
                ('aht_interaction', closed_ms, work_done, handle_ms)
            ]::Array(Tuple(String, Nullable(Int64), Bool, Nullable(Int64))) AS kpis
        FROM whole
    ),
    survey_values AS
    (
        SELECT
            *,
            answered_ms IS NOT NULL AND question = 'csat' AND ifNull(scale, 0) = 5 AS is_csat,
            answered_ms IS NOT NULL AND question = 'nps' AND ifNull(scale, 0) = 10 AS is_nps,
            multiIf(score >= 9, 1, score <= 6, -1, 0) AS promotes,
            [
                ('csat_top_box', about_ms, is_csat, score >= 4),
                ('csat_top_box_response', answered_ms, is_csat, score >= 4),
                ('csat_mean', about_ms, is_csat, score),
                ('nps', about_ms, is_nps, promotes),
                ('nps_response', answered_ms, is_nps, promotes),
                ('survey_response_rate', sent_ms, true, answered_ms IS NOT NULL)
            ]::Array(Tuple(String, Nullable(Int64), Bool, Nullable(Int64))) AS kpis
        FROM answers
    ),
    -- A cohort is final once the whole window after the end of the contact has passed.
    contact_values AS
    (
        SELECT
            *,
            eligible AND ifNull(ended_ms + 604800000 <= {as_of_ms:Int64}, false) AS mature,
            [
                ('repeat_rate', '', started_ms, true, was_here),
                ('repeat_rate_any', '', started_ms, true, was_here_any),
                ('fcr_repeat', 'provisional', ended_ms, eligible, NOT came_back),
                ('fcr_repeat_any', 'provisional', ended_ms, eligible, NOT came_back_any),
                ('fcr_repeat', 'final', ended_ms, mature, NOT came_back),
                ('fcr_repeat_any', 'final', ended_ms, mature, NOT came_back_any)
            ]::Array(Tuple(String, String, Nullable(Int64), Bool, Nullable(Int64))) AS kpis
        FROM contacts
    )
SELECT kpi.1 AS name, '' AS reading, queue, entered_ms AS at_ms, kpi.3 AS amount
FROM stay_values ARRAY JOIN kpis AS kpi WHERE kpi.2
UNION ALL
SELECT kpi.1, '', queue, assumeNotNull(kpi.2), assumeNotNull(kpi.4)
FROM stint_values ARRAY JOIN kpis AS kpi WHERE kpi.2 IS NOT NULL AND kpi.3
UNION ALL
SELECT kpi.1, '', queue, assumeNotNull(kpi.2), assumeNotNull(kpi.4)
FROM interaction_values ARRAY JOIN kpis AS kpi WHERE kpi.2 IS NOT NULL AND kpi.3
UNION ALL
SELECT kpi.1, '', queue, assumeNotNull(kpi.2), assumeNotNull(kpi.4)
FROM survey_values ARRAY JOIN kpis AS kpi WHERE kpi.2 IS NOT NULL AND kpi.3
UNION ALL
SELECT kpi.1, kpi.2, queue, assumeNotNull(kpi.3), assumeNotNull(kpi.5)
FROM contact_values ARRAY JOIN kpis AS kpi WHERE kpi.3 IS NOT NULL AND kpi.4
UNION ALL
SELECT 'journey_effort', '', queue, began_ms, effort
FROM journeys;

-- The longest wait is no sum; it stands apart.
CREATE TABLE waited ENGINE = Memory AS
SELECT queue, entered_ms AS at_ms, assumeNotNull(wait_ms) AS wait
FROM stays
WHERE wait_ms IS NOT NULL;

-- Gauges are now: who waits, and which performer is in which state.
CREATE TABLE gauges ENGINE = Memory AS
SELECT 'queue_depth' AS name, queue FROM stays WHERE outcome = 'waiting'
UNION ALL
SELECT concat('performers_', state), queue FROM performers;

-- Where a fact lies, whether it counts for a KPI or not: a bucket with one has a row for every KPI.
CREATE TABLE present ENGINE = Memory AS
SELECT queue, entered_ms AS at_ms FROM stays
UNION ALL
SELECT queue, assumeNotNull(at_ms) FROM stints
    ARRAY JOIN [toNullable(accepted_ms), left_ms, closed_ms, handoff_accepted_ms] AS at_ms WHERE at_ms IS NOT NULL
UNION ALL
SELECT queue, assumeNotNull(at_ms) FROM whole
    ARRAY JOIN [toNullable(started_ms), ended_ms, closed_ms] AS at_ms WHERE at_ms IS NOT NULL
UNION ALL
SELECT queue, assumeNotNull(at_ms) FROM answers
    ARRAY JOIN [about_ms, answered_ms, sent_ms]::Array(Nullable(Int64)) AS at_ms WHERE at_ms IS NOT NULL
UNION ALL
-- A survey is a fact of everybody who served, each in the queue of that stint.
SELECT if(stints.queue != '', stints.queue, answers.queue), assumeNotNull(at_ms)
FROM answers INNER JOIN stints USING (interaction_id)
    ARRAY JOIN [about_ms, answered_ms, sent_ms]::Array(Nullable(Int64)) AS at_ms WHERE handled AND at_ms IS NOT NULL
UNION ALL
-- A bot session is part of its contact's history, in the queue of the contact.
SELECT whole.queue, bot_parts.started_ms FROM bot_parts INNER JOIN whole USING (interaction_id)
UNION ALL
SELECT queue, began_ms FROM journeys;

-- ----------------------------------------------------------------------------------------------------
-- Windows: the last hour [clock - 1 h, clock), the local day of the clock, quarters, local days, all.
-- Rows: every KPI in every window and queue in which there is something, and in the total.
CREATE TABLE recomputed ENGINE = Memory AS
WITH
    {as_of_ms:Int64} AS now_ms,
    toUnixTimestamp(toStartOfDay(fromUnixTimestamp64Milli(now_ms), {zone:String})) * 1000 AS today_ms,
    windows AS
    (
        SELECT
            at_ms,
            arrayFilter(
                w -> w.3 <= at_ms AND at_ms < w.4,
                [
                    ('sliding', '1h', now_ms - 3600000, now_ms),
                    ('today', '', today_ms, today_ms + 86400000),
                    ('tumbling', '15m', intDiv(at_ms, 900000) * 900000, intDiv(at_ms, 900000) * 900000 + 900000),
                    ('tumbling', 'day', day_ms, day_ms + 86400000),
                    ('all', '', 0, 9223372036854775807)
                ]::Array(Tuple(String, String, Int64, Int64))
            ) AS found,
            toUnixTimestamp(toStartOfDay(fromUnixTimestamp64Milli(at_ms), {zone:String})) * 1000 AS day_ms
        FROM (SELECT DISTINCT at_ms FROM present)
    ),
    names AS
    (
        SELECT DISTINCT name, reading, false AS is_gauge
        FROM (SELECT arrayJoin([
            'offered', 'answered', 'abandoned', 'flow_outs', 'short_abandons', 'asa', 'max_wait',
            'mean_time_to_abandon', 'abandon_rate', 'abandon_rate_long', 'service_level', 'service_level_b',
            'service_level_c', 'service_level_d', 'service_level_e', 'service_level_f', 'handled', 'aht',
            'talk_time', 'hold_time', 'hold_time_with', 'wrap_time', 'wrap_time_with', 'transfer_rate_segment',
            'bot_sessions', 'containment_naive', 'handoff_rate', 'handoff_wait', 'bot_handle_time',
            'interactions', 'transfer_rate', 'aht_interaction', 'csat_top_box', 'csat_top_box_response',
            'csat_mean', 'nps', 'nps_response', 'survey_response_rate', 'repeat_rate', 'repeat_rate_any',
            'journey_effort']) AS name, '' AS reading)
        UNION ALL
        SELECT arrayJoin(['fcr_repeat', 'fcr_repeat_any']), arrayJoin(['provisional', 'final']), false
        UNION ALL
        SELECT arrayJoin(['queue_depth', 'performers_available', 'performers_busy', 'performers_wrap',
            'performers_away', 'performers_offline']), '', true
    ),
    cells AS
    (
        SELECT arrayJoin([queue, '*']) AS cell
        FROM (SELECT queue FROM present UNION DISTINCT SELECT queue FROM gauges)
    ),
    places AS
    (
        SELECT DISTINCT w.1 AS kind, w.2 AS size, w.3 AS start_ms, w.4 AS end_ms, arrayJoin([queue, '*']) AS cell
        FROM present INNER JOIN windows USING (at_ms) ARRAY JOIN found AS w
        WHERE w.1 = 'tumbling'
        UNION DISTINCT
        SELECT DISTINCT w.1, w.2, w.3, w.4, cell
        FROM cells
        ARRAY JOIN
            [
                ('sliding', '1h', now_ms - 3600000, now_ms),
                ('today', '', today_ms, today_ms + 86400000),
                ('all', '', 0, 9223372036854775807)
            ]::Array(Tuple(String, String, Int64, Int64)) AS w
    ),
    sums AS
    (
        SELECT name, reading, w.1 AS kind, w.2 AS size, w.3 AS start_ms, arrayJoin([queue, '*']) AS cell,
            sum(amount) AS numerator, toInt64(count()) AS denominator
        FROM counted INNER JOIN windows USING (at_ms) ARRAY JOIN found AS w
        GROUP BY name, reading, kind, size, start_ms, cell
        UNION ALL
        SELECT 'max_wait', '', w.1 AS kind, w.2 AS size, w.3 AS start_ms, arrayJoin([queue, '*']) AS cell, max(wait), 1
        FROM waited INNER JOIN windows USING (at_ms) ARRAY JOIN found AS w
        GROUP BY kind, size, start_ms, cell
    ),
    levels AS
    (
        SELECT name, arrayJoin([queue, '*']) AS cell, toInt64(count()) AS level
        FROM gauges
        GROUP BY name, cell
    )
SELECT
    names.name AS name, names.reading AS reading, places.kind AS kind, places.size AS size,
    if(places.kind IN ('all', 'sliding'), 0, places.start_ms) AS start_ms, places.cell AS cell,
    -- A gauge is told where the window holds the clock, and has no denominator.
    multiIf(
        NOT is_gauge, toNullable(numerator),
        places.start_ms <= now_ms AND now_ms <= places.end_ms, level,
        NULL
    ) AS numerator,
    if(is_gauge, NULL, toNullable(denominator)) AS denominator
FROM places
CROSS JOIN names
LEFT JOIN sums ON sums.name = names.name AND sums.reading = names.reading AND sums.kind = places.kind
    AND sums.size = places.size AND sums.start_ms = places.start_ms AND sums.cell = places.cell
LEFT JOIN levels ON levels.name = names.name AND levels.cell = places.cell;
