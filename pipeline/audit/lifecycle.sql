-- The lifecycle of contacts, written a second time: facts from accepted events alone, in SQL alone.
--
-- Each statement makes one table from the ones before, in a database of its own, so that whoever looks
-- for the reason of a difference can read what lies between. The last ones bear the names and columns of
-- the views of facts, so that the same questions can be put to both. Nothing here was generated from the
-- folds or shares a line with them.
--
-- {source}, {events}  database and table of accepted events; late ones are in its view uncounted_events
-- {as_of_ms}  the clock: events that occurred later are not known
-- It runs with prefer_column_name_to_alias = 1, as standard SQL reads names.
--
-- Times are UTC epoch milliseconds, durations milliseconds. What it does not cover is counted in the
-- table not_covered, which is the first to look at.

-- ----------------------------------------------------------------------------------------------------
-- What is known of each interaction, in order: time, then the source's own sequence, then by convention
-- the order in which a contact comes in, meets a bot, waits, is served, is passed on, ends.
CREATE TABLE told ENGINE = Memory AS
WITH [
    'started', 'bot_started', 'authenticated', 'info_repeated', 'bot_turn', 'handoff', 'bot_ended', 'queued',
    'ringing', 'declined', 'left_queue', 'accepted', 'consult', 'hold', 'resume', 'transfer', 'left',
    'abandoned', 'completed', 'wrapup_started', 'wrapup_ended', 'record', 'survey_sent', 'survey_answered'
] AS kinds
SELECT
    interaction_id,
    row_number() OVER (
        PARTITION BY interaction_id
        ORDER BY occurred_at, ifNull(source_seq, 0), if(indexOf(kinds, kind) = 0, 99, indexOf(kinds, kind)), event_id
    ) AS place,
    event_id,
    toUnixTimestamp64Milli(occurred_at) AS at_ms,
    toString(kind) AS kind,
    -- What says something about a contact, and never is one.
    toString(kind) NOT IN ('survey_sent', 'survey_answered', 'record', 'evaluation', 'ai_decision', 'identity_linked',
        'case_opened', 'case_resolved', 'case_reopened', 'plan') AS acts,
    toString(kind) = 'bot_started' OR (toString(kind) = 'bot_turn' AND ifNull(user_turn = false, false)) AS greets,
    toString(source) AS source,
    toString(channel) AS channel,
    toString(direction) AS direction,
    ifNull(toString(queue), '') AS queue,
    ifNull(leg_id, interaction_id) AS leg,
    ifNull(previous_leg_id, '') AS previous_leg,
    ifNull(customer_key, '') AS customer,
    ifNull(toString(intent), '') AS intent,
    ifNull(toString(kcr_task), '') AS kcr_task,
    ifNull(toString(capability), '') AS capability,
    ifNull(toString(client), '') AS client,
    ifNull(toString(vendor), '') AS vendor,
    ifNull(toString(language), '') AS language,
    ifNull(toString(performer_id), '') AS performer,
    ifNull(toString(performer_kind), 'human') AS performer_kind,
    ifNull(toString(model_version), '') AS model_version,
    ifNull(toString(site), '') AS site,
    ifNull(toString(location), '') AS location,
    ifNull(toString(employment), '') AS employment,
    ifNull(toString(via), '') AS via,
    ifNull(toString(reason), '') AS reason,
    ifNull(toString(transfer_kind), '') AS transfer_kind,
    ifNull(toString(outcome), '') AS outcome,
    ifNull(toString(ended_by), '') AS ended_by,
    resolved, user_turn, context_ok, wait_ms, talk_ms, hold_ms, wrap_ms,
    ifNull(survey_id, '') AS survey, ifNull(toString(question), '') AS question, scale, score
FROM {source:Identifier}.{events:Identifier} FINAL
WHERE occurred_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
    -- Late records are in neither side.
    AND event_id NOT IN (SELECT event_id FROM {source:Identifier}.uncounted_events)
    AND kind NOT IN ('performer_state', 'plan', 'tick');

-- ----------------------------------------------------------------------------------------------------
-- What is said in a way that nothing below understands, with the count of events.
CREATE TABLE not_covered ENGINE = Memory AS
WITH
    acting AS
    (
        SELECT
            *,
            lag(at_ms, 1, at_ms) OVER (PARTITION BY interaction_id ORDER BY place) AS before_ms,
            lag(toString(kind), 1, '') OVER on_leg AS kind_before,
            lag(toString(queue), 1, '') OVER on_leg AS queue_before,
            countIf(kind = 'bot_started') OVER so_far AS bots,
            countIf(kind IN ('bot_ended', 'handoff', 'queued', 'completed', 'abandoned')) OVER so_far AS bot_ends
        FROM told
        WHERE acts
        WINDOW
            so_far AS (PARTITION BY interaction_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
            on_leg AS (PARTITION BY interaction_id, leg ORDER BY place)
    ),
    found AS
    (
        SELECT 'a whole record of a leg' AS what FROM told WHERE kind = 'record'
        UNION ALL
        SELECT 'a duration measured by the platform, other than the wait of an answer' FROM told
        WHERE talk_ms IS NOT NULL OR hold_ms IS NOT NULL OR wrap_ms IS NOT NULL OR (wait_ms IS NOT NULL AND kind != 'accepted')
        UNION ALL
        SELECT 'a new session under an id that was silent' FROM acting
        WHERE kind IN ('started', 'bot_started') AND previous_leg = '' AND at_ms - before_ms >= 3600000
        UNION ALL
        SELECT 'a second bot session' FROM acting WHERE kind = 'bot_started' AND bots > 1
        UNION ALL
        SELECT 'a bot that speaks before it began' FROM acting
        WHERE kind IN ('bot_turn', 'handoff', 'bot_ended') AND bots = 0
        UNION ALL
        SELECT 'a bot that speaks after its end' FROM acting WHERE kind = 'bot_turn' AND bot_ends > 0
        UNION ALL
        SELECT 'a queue entered again while waiting in it' FROM acting
        WHERE kind = 'queued' AND kind_before = 'queued' AND queue_before = queue
        UNION ALL
        SELECT 'a bot that accepts' FROM acting WHERE kind = 'accepted' AND performer_kind = 'bot'
        UNION ALL
        SELECT 'a performer without a name' FROM acting
        WHERE performer = '' AND kind IN ('accepted', 'hold', 'resume', 'left', 'transfer', 'wrapup_started', 'wrapup_ended')
        UNION ALL
        -- The correction took the place of the event that was counted.
        SELECT 'a correction that came too late' AS what
        FROM {source:Identifier}.late_records AS l FINAL
        INNER JOIN
        (
            SELECT interaction_id, one.1 AS event_id, one.2 AS content_hash
            FROM {source:Identifier}.frozen_interactions
            ARRAY JOIN arrayZip(event_ids, content_hashes) AS one
        ) AS f ON f.interaction_id = l.interaction_id AND f.event_id = l.event_id
        WHERE l.content_hash != f.content_hash
    )
SELECT what, count() AS events
FROM found
GROUP BY what;

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
    argMinIf(event_id, place, kind = 'bot_started') AS event_id,
    argMinIf(leg, place, kind = 'bot_started') AS leg,
    argMinIf(performer, place, kind = 'bot_started') AS named,
    argMinIf(model_version, place, kind = 'bot_started') AS own_version,
    minIf(place, kind = 'bot_started') AS place,
    minIf(at_ms, kind = 'bot_started') AS started_ms,
    argMinIf(queue, place, kind = 'bot_started') AS queue,
    countIf(kind = 'bot_turn' AND user_turn IS DISTINCT FROM false) AS turns,
    countIf(takes_over) > 0 AS over,
    minIf(at_ms, takes_over) AS over_ms,
    argMinIf(kind, place, takes_over) AS over_kind,
    argMinIf(outcome, place, takes_over) AS over_outcome,
    argMinIf(ended_by, place, takes_over) AS over_by,
    argMinIf(ifNull(resolved, false), place, takes_over) AS over_resolved,
    argMaxIf(context_ok, place, kind = 'handoff') AS context_ok,
    minIf(place, takes_over) AS over_place
FROM numbered
WHERE session > 0
GROUP BY interaction_id, session;

-- ----------------------------------------------------------------------------------------------------
-- Beginning and end of interactions. An end holds unless the contact is queued or accepted after it.
-- Who is silent for too long has ended, unknown, with the last sign of life: a contact that only a bot
-- serves after 60 minutes, voice and messaging after 24 hours, everything else after 7 days.
-- A bot that greets an empty chair is no interaction, and neither is wrap-up of nothing.
CREATE TABLE spans ENGINE = Memory AS
WITH
    lives AS
    (
        SELECT
            interaction_id,
            minIf(at_ms, acts) AS started_ms,
            maxIf(at_ms, acts) AS last_sign_ms,
            countIf(acts AND NOT greets) > 0 AND countIf(acts AND kind NOT IN ('wrapup_started', 'wrapup_ended')) > 0 AS exists,
            -- What a bot says may not know the channel.
            argMinIf(channel, place, acts AND NOT greets) AS channel,
            argMinIf(direction, place, acts AND NOT greets) AS direction,
            argMinIf(source, place, acts AND NOT greets) AS source,
            argMaxIf(customer, place, customer != '') AS customer,
            argMaxIf(intent, place, intent != '') AS intent,
            argMaxIf(kcr_task, place, kcr_task != '') AS kcr_task,
            argMaxIf(capability, place, capability != '') AS capability,
            argMaxIf(client, place, client != '') AS client,
            argMaxIf(vendor, place, vendor != '') AS vendor,
            argMaxIf(language, place, language != '') AS language,
            argMinIf(queue, place, kind = 'queued') AS queue,
            countIf(kind = 'transfer' AND performer_kind != 'bot') AS transfers,
            countIf(kind = 'authenticated') AS authentications,
            countIf(kind = 'info_repeated') AS info_repeats,
            argMaxIf(resolved, place, kind = 'completed' AND resolved IS NOT NULL) AS said_resolved,
            maxIf(place, kind = 'completed' AND resolved IS NOT NULL) AS resolved_place,
            maxIf(place, kind = 'bot_ended' AND outcome = 'resolved') AS bot_resolved_place,
            maxIf(place, kind IN ('completed', 'abandoned') OR (kind = 'bot_ended' AND outcome != 'handoff')) AS end_place,
            argMaxIf(at_ms, place, kind IN ('completed', 'abandoned') OR (kind = 'bot_ended' AND outcome != 'handoff')) AS end_ms,
            argMaxIf(
                multiIf(kind = 'abandoned' OR (kind = 'bot_ended' AND outcome = 'left'), 'customer', kind = 'bot_ended', 'bot',
                    ended_by = '', 'unknown', ended_by),
                place,
                kind IN ('completed', 'abandoned') OR (kind = 'bot_ended' AND outcome != 'handoff')
            ) AS end_by,
            maxIf(place, kind IN ('queued', 'accepted')) AS goes_on_place
        FROM told
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
    * EXCEPT (exists, said_resolved, resolved_place, bot_resolved_place, end_place, end_ms, end_by, goes_on_place, said_to_end),
    NOT said_to_end AND silent_until_ms <= {as_of_ms:Int64} AS given_up,
    multiIf(said_to_end, toNullable(end_ms), given_up, last_sign_ms, NULL) AS ended_ms,
    multiIf(said_to_end, end_by, given_up, 'unknown', '') AS ended_by,
    multiIf(bot_resolved_place > resolved_place, toNullable(true), resolved_place > 0, said_resolved, NULL) AS resolved
FROM ends
WHERE exists;

-- ----------------------------------------------------------------------------------------------------
-- Stays in queues: from queued to the next event on the same leg that ends a wait.
-- Who hung up meanwhile has abandoned; with an unknown end the wait is unknown too.
CREATE TABLE stays ENGINE = Memory AS
WITH steps AS
(
    SELECT
        interaction_id, place, event_id, queue, leg, capability, kind, at_ms,
        lead(toNullable(kind)) OVER following AS next_kind,
        lead(toNullable(at_ms)) OVER following AS next_ms,
        lead(place, 1, 0) OVER following AS next_place,
        lead(toNullable(ended_by)) OVER following AS next_by,
        lead(toNullable(reason)) OVER following AS next_reason,
        lead(wait_ms) OVER following AS measured_ms
    FROM told
    WHERE kind IN ('queued', 'left_queue', 'abandoned', 'completed')
        OR (kind = 'accepted' AND via NOT IN ('direct', 'consult', 'conference'))
    WINDOW following AS (PARTITION BY interaction_id, leg ORDER BY place)
)
SELECT
    interaction_id, place, event_id, leg, next_place,
    steps.queue AS queue,
    steps.capability AS capability,
    at_ms AS entered_ms,
    multiIf(
        next_kind = 'accepted', 'answered',
        next_kind = 'abandoned' OR (next_kind = 'completed' AND next_by = 'customer'), 'abandoned',
        next_kind IN ('left_queue', 'queued'), 'flow_out',
        next_kind = 'completed' OR given_up, 'ended',
        'waiting'
    ) AS outcome,
    multiIf(next_kind = 'left_queue', if(next_reason = '', 'system', next_reason), next_kind = 'queued', 'overflow', '') AS reason,
    multiIf(next_ms IS NOT NULL, next_ms, given_up, toNullable(silent_until_ms), NULL) AS left_ms,
    if(next_kind = 'accepted', coalesce(measured_ms, next_ms - at_ms), next_ms - at_ms) AS wait_ms
FROM steps
INNER JOIN spans USING (interaction_id)
WHERE kind = 'queued';

-- ----------------------------------------------------------------------------------------------------
-- A handoff is taken over by the human who accepts next, unless the customer left a queue before.
CREATE TABLE handoffs ENGINE = Memory AS
WITH next_steps AS
(
    SELECT interaction_id, place, 'accepted' AS step, at_ms FROM told WHERE kind = 'accepted' AND performer_kind != 'bot'
    UNION ALL
    SELECT interaction_id, next_place, 'abandoned', assumeNotNull(left_ms) FROM stays WHERE outcome = 'abandoned'
)
SELECT
    interaction_id,
    session,
    minIf(next_steps.place, next_steps.place > over_place) AS next_place,
    argMinIf(step, next_steps.place, next_steps.place > over_place) AS next_step,
    argMinIf(at_ms, next_steps.place, next_steps.place > over_place) AS next_ms
FROM bot_parts
INNER JOIN next_steps USING (interaction_id)
GROUP BY interaction_id, session;

-- ----------------------------------------------------------------------------------------------------
-- Where performers of an interaction sit and whom they work for: what was told last of each.
CREATE TABLE traits ENGINE = Memory AS
SELECT
    interaction_id, performer,
    argMaxIf(model_version, place, model_version != '') AS model_version,
    argMaxIf(site, place, site != '') AS site,
    argMaxIf(location, place, location != '') AS location,
    argMaxIf(employment, place, employment != '') AS employment,
    argMaxIf(vendor, place, vendor != '') AS vendor
FROM told
WHERE performer != ''
GROUP BY interaction_id, performer;

-- ----------------------------------------------------------------------------------------------------
-- Stints: bots from their sessions; humans from accepted to the first of: they leave, they pass the
-- contact on blindly, they begin to wrap up, the contact is completed on their leg.
--   handle time = talk + hold + wrap-up. Hold: from hold to resume, or to the end of the stint.
--   The work is complete after wrap-up, where there is one, else at the end of the stint.
--   Consultation: until the customer joins, that is until a colleague transfers the contact or leaves.
-- A bot has handled what it gave a turn to, resolved or handed over.
CREATE TABLE stints ENGINE = Memory AS
WITH
    completions AS
    (
        SELECT interaction_id, leg, groupArray((place, at_ms)) AS completions_of_leg
        FROM told
        WHERE kind = 'completed'
        GROUP BY interaction_id, leg
    ),
    joinings AS
    (
        SELECT interaction_id, groupArray((place, at_ms, performer)) AS joining_steps
        FROM told
        WHERE kind IN ('transfer', 'left') AND performer_kind != 'bot'
        GROUP BY interaction_id
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
            argMinIf(event_id, place, kind = 'accepted') AS event_id,
            argMinIf(performer_kind, place, kind = 'accepted') AS performer_kind,
            argMinIf(via, place, kind = 'accepted') AS via,
            minIf(at_ms, kind = 'accepted') AS accepted_ms,
            argMinIf(queue, place, kind = 'accepted') AS queue,
            argMinIf(leg, place, kind = 'accepted') AS leg,
            groupArrayIf(at_ms, kind IN ('left', 'wrapup_started') OR (kind = 'transfer' AND transfer_kind = 'blind')) AS ends_ms,
            arraySort(groupArrayIf((place, kind, at_ms), kind IN ('hold', 'resume'))) AS holds,
            countIf(kind = 'transfer') > 0 AS transferred,
            argMaxIf(transfer_kind, place, kind = 'transfer') AS transfer_kind,
            maxIf(toNullable(at_ms), kind = 'wrapup_started') AS wrap_started_ms,
            maxIf(toNullable(at_ms), kind = 'wrapup_ended') AS wrap_ended_ms
        FROM own
        WHERE stint > 0
        GROUP BY interaction_id, performer, stint
    ),
    ended AS
    (
        SELECT
            *,
            arrayConcat(ends_ms, arrayMap(end -> end.2, arrayFilter(end -> end.1 > place, completions_of_leg))) AS all_ends_ms,
            if(empty(all_ends_ms), NULL, toNullable(arrayMin(all_ends_ms))) AS left_ms,
            -- While the last word is hold, the customer is on hold.
            arraySum(
                (step, next_ms) -> if(step.2 = 'hold', least(next_ms, ifNull(left_ms, 0)) - least(step.3, ifNull(left_ms, 0)), 0),
                holds,
                arraySlice(arrayPushBack(arrayMap(step -> step.3, holds), ifNull(left_ms, 0)), 2)
            ) AS hold_ms,
            arrayMap(step -> step.2, arrayFilter(step -> step.1 > place AND step.3 != performer, joining_steps)) AS joined_ms,
            arrayFilter(at -> at <= ifNull(left_ms, at), joined_ms) AS joined_before_ms,
            multiIf(via != 'consult', toNullable(0), notEmpty(joined_before_ms), arrayMin(joined_before_ms) - accepted_ms,
                left_ms - accepted_ms) AS consulted_ms
        FROM (SELECT * FROM parts LEFT JOIN completions USING (interaction_id, leg)) AS with_completions
        LEFT JOIN joinings USING (interaction_id)
    ),
    entries AS
    (
        SELECT interaction_id, groupArray((place, queue, entered_ms)) AS entries_of_all
        FROM (SELECT * FROM stays ORDER BY place)
        GROUP BY interaction_id
    ),
    answered AS
    (
        SELECT interaction_id, next_place AS place, argMax(queue, stays.place) AS answered_queue, true AS by_queue
        FROM stays
        WHERE outcome = 'answered'
        GROUP BY interaction_id, next_place
    ),
    named AS
    (
        SELECT *, arrayLast(entry -> entry.3 < accepted_ms, entries_of_all).2 AS queue_before
        FROM (SELECT * FROM ended LEFT JOIN answered USING (interaction_id, place)) AS with_answers
        LEFT JOIN entries USING (interaction_id)
    )
SELECT
    interaction_id, named.place AS place, event_id, named.leg AS leg, performer, performer_kind,
    multiIf(by_queue, answered_queue, named.queue != '', named.queue, queue_before) AS queue,
    multiIf(via != '', via, by_queue, 'queue', 'direct') AS via,
    accepted_ms, left_ms,
    multiIf(left_ms IS NULL, NULL, wrap_started_ms IS NULL, left_ms, wrap_ended_ms) AS closed_ms,
    if(closed_ms IS NULL, NULL, toNullable(left_ms - accepted_ms - hold_ms)) AS talk_ms,
    if(closed_ms IS NULL, NULL, toNullable(hold_ms)) AS hold_ms,
    if(closed_ms IS NULL, NULL, toNullable(if(wrap_started_ms IS NULL, 0, wrap_ended_ms - wrap_started_ms))) AS wrap_ms,
    if(closed_ms IS NULL, NULL, toNullable(least(consulted_ms, talk_ms))) AS consult_ms,
    true AS handled,
    transferred, transfer_kind,
    toUInt64(0) AS turns,
    '' AS outcome,
    CAST(NULL, 'Nullable(Int64)') AS handoff_ms,
    CAST(NULL, 'Nullable(Bool)') AS context_ok,
    CAST(NULL, 'Nullable(Int64)') AS handoff_accepted_ms,
    false AS handoff_abandoned,
    '' AS own_version
FROM named
INNER JOIN spans USING (interaction_id)
UNION ALL
SELECT
    interaction_id, bot_parts.place, bot_parts.event_id, bot_parts.leg, if(named = '', 'bot', named) AS performer, 'bot',
    bot_parts.queue, 'direct', bot_parts.started_ms,
    multiIf(over, toNullable(over_ms), given_up, last_sign_ms, NULL) AS left_ms,
    left_ms AS closed_ms,
    left_ms - bot_parts.started_ms AS talk_ms,
    if(left_ms IS NULL, NULL, toNullable(0)) AS hold_ms, if(left_ms IS NULL, NULL, toNullable(0)) AS wrap_ms,
    if(left_ms IS NULL, NULL, toNullable(0)) AS consult_ms,
    turns > 0 OR outcome IN ('resolved', 'handoff') AS handled,
    false AS transferred, '',
    turns,
    multiIf(
        NOT over, if(given_up, 'timed_out', ''),
        over_kind = 'bot_ended', if(over_outcome = '', 'ended', over_outcome),
        over_kind IN ('handoff', 'queued'), 'handoff',
        over_kind = 'completed' AND over_resolved, 'resolved',
        over_kind = 'abandoned' OR (over_kind = 'completed' AND over_by = 'customer'), 'left',
        'ended'
    ) AS outcome,
    if(outcome = 'handoff', left_ms, NULL) AS handoff_ms,
    bot_parts.context_ok,
    if(outcome = 'handoff' AND next_step = 'accepted', toNullable(next_ms), NULL) AS handoff_accepted_ms,
    outcome = 'handoff' AND next_step = 'abandoned' AS handoff_abandoned,
    own_version
FROM bot_parts
INNER JOIN spans USING (interaction_id)
LEFT JOIN handoffs USING (interaction_id, session);

-- ----------------------------------------------------------------------------------------------------
-- Interactions with what their parts add up to. Abandoned: the customer's leaving of a queue ended it.
CREATE TABLE whole ENGINE = Memory AS
WITH
    waits AS
    (
        SELECT
            interaction_id,
            sum(ifNull(wait_ms, 0)) AS waited_ms,
            argMin(queue, place) AS first_queue,
            argMax(outcome, place) AS last_outcome,
            argMax(tuple(left_ms), place).1 AS last_left_ms
        FROM stays
        GROUP BY interaction_id
    ),
    work AS
    (
        SELECT
            interaction_id,
            countIf(handled) AS stint_count,
            countIf(handled AND closed_ms IS NULL) AS open_count,
            uniqExactIf(performer_kind = 'bot', handled) AS kind_count,
            anyIf(if(performer_kind = 'bot', 'bot', 'human'), handled) AS one_kind,
            maxIf(closed_ms, handled) AS last_closed_ms,
            sumIf(talk_ms, handled) AS talk_ms,
            sumIf(hold_ms, handled) AS hold_ms,
            sumIf(wrap_ms, handled) AS wrap_ms,
            sumIf(consult_ms, handled) AS consult_ms,
            countIf(performer_kind = 'bot') AS bot_sessions,
            countIf(handoff_ms IS NOT NULL) AS handoffs,
            countIf(handoff_ms IS NOT NULL AND context_ok = false) AS contexts_lost,
            -- Who served last is who left last.
            argMaxIf((performer, performer_kind, queue, own_version), (left_ms IS NULL, ifNull(left_ms, 0), place), handled) AS last_server
        FROM stints
        GROUP BY interaction_id
    )
SELECT
    * EXCEPT (
        waited_ms, talk_ms, hold_ms, wrap_ms, consult_ms, open_count, kind_count, one_kind, last_closed_ms,
        last_server, last_outcome, last_left_ms
    ),
    ifNull(waited_ms, 0) AS waited_ms,
    multiIf(stint_count = 0, 'none', kind_count = 2, 'both', one_kind) AS handled_by,
    last_outcome = 'abandoned' AND ifNull(last_left_ms = ended_ms, false) AS abandoned,
    stint_count > 0 AND open_count = 0 AND ended_ms IS NOT NULL AS work_done,
    if(work_done, greatest(ended_ms, last_closed_ms), NULL) AS closed_ms,
    if(work_done, talk_ms, NULL) AS talk_ms,
    if(work_done, hold_ms, NULL) AS hold_ms,
    if(work_done, wrap_ms, NULL) AS wrap_ms,
    if(work_done, consult_ms, NULL) AS consult_ms,
    last_server.1 AS last_performer, last_server.2 AS last_kind, last_server.3 AS last_queue, last_server.4 AS last_version
FROM (SELECT * FROM spans LEFT JOIN waits USING (interaction_id)) AS with_waits
LEFT JOIN work USING (interaction_id);

-- ====================================================================================================
-- Facts, by the names and columns of their views.

CREATE TABLE interactions ENGINE = Memory AS
SELECT
    whole.interaction_id AS interaction_id, customer AS customer_key, channel, direction, first_queue AS queue, intent,
    last_kind AS performer_kind, last_performer AS performer_id,
    if(t.model_version != '', t.model_version, last_version) AS model_version,
    kcr_task, capability, client,
    if(t.vendor != '', t.vendor, whole.vendor) AS vendor,
    t.site AS site, t.location AS location, t.employment AS employment, language, source,
    started_ms, ended_ms, closed_ms, ended_by, resolved, stint_count > 0 AS handled, handled_by, abandoned,
    toInt64(stint_count) AS stints, toInt64(transfers) AS transfers, toInt64(bot_sessions) AS bot_sessions,
    toInt64(handoffs) AS handoffs, toInt64(contexts_lost) AS handoffs_without_context,
    toInt64(authentications) AS authentications, toInt64(info_repeats) AS info_repeats,
    toInt64(waited_ms) AS wait_ms, talk_ms, hold_ms, wrap_ms, consult_ms
FROM whole
LEFT JOIN traits AS t ON t.interaction_id = whole.interaction_id AND t.performer = last_performer;

CREATE TABLE handling_segments ENGINE = Memory AS
SELECT
    s.interaction_id AS interaction_id, customer AS customer_key, channel, direction, s.queue AS queue, intent,
    s.performer_kind AS performer_kind, s.performer AS performer_id,
    if(t.model_version != '', t.model_version, own_version) AS model_version,
    kcr_task, capability, client, if(t.vendor != '', t.vendor, w.vendor) AS vendor,
    t.site AS site, t.location AS location, t.employment AS employment, language, source,
    leg AS leg_id, via, accepted_ms, left_ms, s.closed_ms AS closed_ms,
    s.talk_ms AS talk_ms, s.hold_ms AS hold_ms, s.wrap_ms AS wrap_ms, s.consult_ms AS consult_ms,
    s.handled AS handled, transferred, transfer_kind, toInt64(turns) AS turns, outcome AS bot_outcome,
    handoff_ms, context_ok AS handoff_context_ok, handoff_accepted_ms, handoff_abandoned,
    given_up AND s.performer_kind != 'bot' AND left_ms IS NULL AS unknown_end,
    s.place AS place, event_id
FROM stints AS s
INNER JOIN whole AS w ON w.interaction_id = s.interaction_id
LEFT JOIN traits AS t ON t.interaction_id = s.interaction_id AND t.performer = s.performer;

-- A stay is credited to who ended it by accepting.
CREATE TABLE queue_segments ENGINE = Memory AS
WITH pending AS
(
    SELECT interaction_id, groupArray((over_place, next_place)) AS found
    FROM bot_parts
    LEFT JOIN handoffs USING (interaction_id, session)
    WHERE over AND (over_kind IN ('handoff', 'queued') OR (over_kind = 'bot_ended' AND over_outcome = 'handoff'))
    GROUP BY interaction_id
)
SELECT
    s.interaction_id AS interaction_id, w.customer AS customer_key, w.channel AS channel, w.direction AS direction, s.queue AS queue, w.intent AS intent,
    h.performer_kind AS performer_kind, h.performer_id AS performer_id, h.model_version AS model_version,
    w.kcr_task AS kcr_task, if(s.capability != '', s.capability, w.capability) AS capability, w.client AS client,
    if(h.interaction_id != '', h.vendor, w.vendor) AS vendor, h.site AS site, h.location AS location,
    h.employment AS employment, w.language AS language, w.source AS source,
    s.leg AS leg_id, s.entered_ms AS entered_ms, s.left_ms AS left_ms, s.outcome AS outcome, s.reason AS reason,
    s.wait_ms AS wait_ms,
    arrayExists(bot -> bot.1 <= s.place AND (bot.2 = 0 OR bot.2 > s.place), pending.found) AS after_bot
FROM stays AS s
INNER JOIN (SELECT interaction_id, customer, channel, direction, intent, kcr_task, capability, client, vendor, language, source FROM whole) AS w
    ON w.interaction_id = s.interaction_id
LEFT JOIN handling_segments AS h ON h.interaction_id = s.interaction_id AND h.place = s.next_place AND s.outcome = 'answered'
LEFT JOIN pending ON pending.interaction_id = s.interaction_id;

-- ----------------------------------------------------------------------------------------------------
-- Surveys: a row for each question, credited to who served last, to everybody who served, to each bot.
CREATE TABLE surveys ENGINE = Memory AS
WITH
    asked AS
    (
        SELECT interaction_id, survey, min(at_ms) AS sent_ms, argMin(question, place) AS question
        FROM told WHERE kind = 'survey_sent' GROUP BY interaction_id, survey
    ),
    answers AS
    (
        SELECT
            interaction_id, survey, question,
            argMax(at_ms, place) AS answered_ms, argMax(tuple(scale), place).1 AS scale, argMax(tuple(score), place).1 AS score,
            row_number() OVER (PARTITION BY interaction_id, survey ORDER BY question) AS number
        FROM told WHERE kind = 'survey_answered' GROUP BY interaction_id, survey, question
    ),
    questions AS
    (
        SELECT
            if(a.interaction_id != '', a.interaction_id, q.interaction_id) AS interaction_id,
            if(a.interaction_id != '', a.survey, q.survey) AS survey,
            if(a.interaction_id != '', a.question, q.question) AS question,
            a.scale AS scale, a.score AS score,
            -- A survey of several questions was sent once.
            if(q.interaction_id != '' AND a.number <= 1, toNullable(q.sent_ms), NULL) AS sent_ms,
            if(a.interaction_id != '', toNullable(a.answered_ms), NULL) AS answered_ms
        FROM asked AS q
        FULL OUTER JOIN answers AS a ON a.interaction_id = q.interaction_id AND a.survey = q.survey
    ),
    servers AS
    (
        SELECT interaction_id, 'last' AS credit, last_performer AS performer, stint_count > 0 AS known, last_queue AS queue FROM whole
        UNION ALL
        SELECT interaction_id, credit, performer, true, argMax(queue, place)
        FROM stints ARRAY JOIN if(performer_kind = 'bot', ['all', 'bot'], ['all']) AS credit
        WHERE handled
        GROUP BY interaction_id, credit, performer
    ),
    kinds AS
    (
        SELECT interaction_id, performer, argMax((performer_kind, own_version), place) AS kind
        FROM stints GROUP BY interaction_id, performer
    )
SELECT
    q.interaction_id AS interaction_id, w.customer AS customer_key, w.channel AS channel, w.direction AS direction,
    if(s.known AND s.queue != '', s.queue, w.first_queue) AS queue, w.intent AS intent,
    k.kind.1 AS performer_kind, s.performer AS performer_id,
    if(t.model_version != '', t.model_version, k.kind.2) AS model_version,
    w.kcr_task AS kcr_task, w.capability AS capability, w.client AS client,
    if(t.vendor != '', t.vendor, w.vendor) AS vendor, t.site AS site, t.location AS location, t.employment AS employment,
    w.language AS language, w.source AS source,
    q.survey AS survey_id, s.credit AS credit, q.question AS question, q.scale AS scale, q.score AS score,
    q.sent_ms AS sent_ms, q.answered_ms AS answered_ms, ifNull(w.ended_ms, w.started_ms) AS interaction_ms
FROM questions AS q
INNER JOIN whole AS w ON w.interaction_id = q.interaction_id
INNER JOIN servers AS s ON s.interaction_id = q.interaction_id
LEFT JOIN kinds AS k ON k.interaction_id = s.interaction_id AND k.performer = s.performer
LEFT JOIN traits AS t ON t.interaction_id = s.interaction_id AND t.performer = s.performer;

-- ----------------------------------------------------------------------------------------------------
-- Contacts of customers with their neighbours: the next start after the end, the last end before the
-- start, among contacts in the same direction. Who is not known has no neighbours.
CREATE TABLE contacts ENGINE = Memory AS
WITH
    histories AS
    (
        SELECT customer_key, direction, groupArray((started_ms, ended_ms, intent, queue)) AS history
        FROM interactions
        WHERE customer_key != ''
        GROUP BY customer_key, direction
    ),
    bots AS
    (
        SELECT interaction_id, max(handoff_ms IS NOT NULL) AS part_handed_off, max(bot_outcome IN ('left', 'timed_out')) AS part_left_bot
        FROM handling_segments
        WHERE performer_kind = 'bot'
        GROUP BY interaction_id
    ),
    parts AS
    (
        SELECT
            interaction_id, 'interaction' AS part, started_ms AS part_started_ms, ended_ms AS part_ended_ms, part_handed_off,
            part_left_bot, performer_kind AS part_kind, performer_id AS part_performer, model_version AS part_version
        FROM interactions
        LEFT JOIN bots USING (interaction_id)
        UNION ALL
        SELECT
            interaction_id, 'bot_session', accepted_ms, left_ms, handoff_ms IS NOT NULL, outcome IN ('left', 'timed_out'),
            'bot', performer, own_version
        FROM stints
        WHERE performer_kind = 'bot'
    ),
    beside AS
    (
        SELECT
            *,
            arrayMap(c -> (assumeNotNull(c.1 - part_ended_ms), c.3 = intent, c.4 = queue), arrayFilter(c -> ifNull(c.1 > part_ended_ms, false), history)) AS later,
            arrayMap(c -> (assumeNotNull(started_ms - c.2), c.3 = intent, c.4 = queue), arrayFilter(c -> ifNull(c.2 < started_ms, false), history)) AS earlier
        FROM (SELECT * FROM interactions INNER JOIN parts USING (interaction_id)) AS in_parts
        LEFT JOIN histories USING (customer_key, direction)
    )
SELECT
    interaction_id, customer_key, channel, direction, queue, intent,
    part_kind AS performer_kind, part_performer AS performer_id, part_version AS model_version,
    kcr_task, capability, client, vendor, site, location, employment, language, source,
    part, part_started_ms AS started_ms, part_ended_ms AS ended_ms, handled, abandoned, resolved,
    transfers > 0 AS transferred, part_handed_off AS handed_off, part_left_bot AS left_bot,
    arraySort(arrayMap(c -> c.1, arrayFilter(c -> c.2, later)))[1] AS next_same_intent,
    if(arrayExists(c -> c.2, later), toNullable(next_same_intent), NULL) AS next_same_intent_ms,
    arraySort(arrayMap(c -> c.1, arrayFilter(c -> c.3, later)))[1] AS next_same_queue,
    if(arrayExists(c -> c.3, later), toNullable(next_same_queue), NULL) AS next_same_queue_ms,
    if(notEmpty(later), toNullable(arrayMin(arrayMap(c -> c.1, later))), NULL) AS next_any_ms,
    arraySort(arrayMap(c -> c.1, arrayFilter(c -> c.2, earlier)))[1] AS previous_same_intent,
    if(arrayExists(c -> c.2, earlier), toNullable(previous_same_intent), NULL) AS previous_same_intent_ms,
    arraySort(arrayMap(c -> c.1, arrayFilter(c -> c.3, earlier)))[1] AS previous_same_queue,
    if(arrayExists(c -> c.3, earlier), toNullable(previous_same_queue), NULL) AS previous_same_queue_ms,
    if(notEmpty(earlier), toNullable(arrayMin(arrayMap(c -> c.1, earlier))), NULL) AS previous_any_ms
FROM beside;

-- Journeys: contacts of one customer on one intent with no gap of more than 7 days; a contact of an
-- unknown customer is a journey alone.
CREATE TABLE journeys ENGINE = Memory AS
WITH
    linked AS
    (
        SELECT
            *,
            if(customer_key = '', interaction_id, customer_key) AS who,
            max(ifNull(ended_ms, started_ms)) OVER before_it AS reached_ms,
            count() OVER before_it AS earlier,
            lag(channel) OVER in_order AS last_channel,
            earlier = 0 OR started_ms - reached_ms > 604800000 AS begins
        FROM interactions
        WINDOW
            in_order AS (PARTITION BY who, direction, intent ORDER BY started_ms, interaction_id),
            before_it AS (PARTITION BY who, direction, intent ORDER BY started_ms, interaction_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    numbered AS
    (
        SELECT *, sum(begins) OVER (PARTITION BY who, direction, intent ORDER BY started_ms, interaction_id) AS number
        FROM linked
    )
SELECT
    argMin(n.interaction_id, (n.started_ms, n.interaction_id)) AS interaction_id,
    any(n.customer_key) AS customer_key,
    argMin(n.channel, (n.started_ms, n.interaction_id)) AS channel,
    n.direction AS direction,
    argMin(n.queue, (n.started_ms, n.interaction_id)) AS queue,
    n.intent AS intent,
    argMax(n.performer_kind, (n.started_ms, n.interaction_id)) AS performer_kind,
    argMax(n.performer_id, (n.started_ms, n.interaction_id)) AS performer_id,
    argMax(n.model_version, (n.started_ms, n.interaction_id)) AS model_version,
    argMin(n.kcr_task, (n.started_ms, n.interaction_id)) AS kcr_task,
    argMin(n.capability, (n.started_ms, n.interaction_id)) AS capability,
    argMin(n.client, (n.started_ms, n.interaction_id)) AS client,
    argMin(n.vendor, (n.started_ms, n.interaction_id)) AS vendor,
    argMax(n.site, (n.started_ms, n.interaction_id)) AS site,
    argMax(n.location, (n.started_ms, n.interaction_id)) AS location,
    argMax(n.employment, (n.started_ms, n.interaction_id)) AS employment,
    argMin(n.language, (n.started_ms, n.interaction_id)) AS language,
    argMin(n.source, (n.started_ms, n.interaction_id)) AS source,
    min(n.started_ms) AS started_ms,
    if(countIf(n.ended_ms IS NULL) > 0, NULL, max(n.ended_ms)) AS ended_ms,
    argMax(tuple(n.resolved), (n.started_ms, n.interaction_id)).1 AS resolved,
    toInt64(count()) AS interactions,
    toInt64(countIf(NOT n.begins AND n.channel != n.last_channel)) AS channel_switches,
    toInt64(sum(n.transfers)) AS transfers,
    toInt64(sum(n.handoffs_without_context)) AS handoffs_without_context,
    greatest(toInt64(sum(n.authentications)) - 1, 0) AS reauthentications,
    toInt64(sum(n.info_repeats)) AS info_repeats,
    toInt64(sum(n.wait_ms)) AS wait_ms
FROM numbered AS n
GROUP BY n.who, n.direction, n.intent, n.number;

-- ----------------------------------------------------------------------------------------------------
-- Performers' states, in each queue where states are kept by queue; a state told again goes on.
CREATE TABLE performer_states ENGINE = Memory AS
WITH
    states AS
    (
        SELECT
            *,
            ifNull(toString(performer_id), '') AS performer, ifNull(toString(queue), '') AS own_queue,
            toString(assumeNotNull(state)) AS told_state, ifNull(toString(reason), '') AS told_reason,
            toUnixTimestamp64Milli(occurred_at) AS at_ms,
            lag(concat(told_state, '/', told_reason), 1, '') OVER in_order AS state_before
        FROM {source:Identifier}.{events:Identifier} FINAL
        WHERE occurred_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC') AND kind = 'performer_state'
        WINDOW in_order AS (PARTITION BY performer, own_queue ORDER BY occurred_at, ifNull(source_seq, 0), event_id)
    ),
    changes AS
    (
        SELECT *, lead(toNullable(at_ms)) OVER (PARTITION BY performer, own_queue ORDER BY occurred_at, ifNull(source_seq, 0), event_id) AS left_ms
        FROM states
        WHERE concat(told_state, '/', told_reason) != state_before
    )
SELECT
    '' AS interaction_id, '' AS customer_key, toString(channel) AS channel, 'inbound' AS direction, own_queue AS queue, '' AS intent,
    ifNull(toString(performer_kind), 'human') AS performer_kind, performer AS performer_id,
    ifNull(toString(model_version), '') AS model_version, ifNull(toString(kcr_task), '') AS kcr_task,
    ifNull(toString(capability), '') AS capability, ifNull(toString(client), '') AS client,
    ifNull(toString(vendor), '') AS vendor, ifNull(toString(site), '') AS site, ifNull(toString(location), '') AS location,
    ifNull(toString(employment), '') AS employment, ifNull(toString(language), '') AS language, toString(source) AS source,
    told_state AS state, told_reason AS reason, at_ms AS entered_ms, left_ms
FROM changes;
