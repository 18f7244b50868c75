-- Journeys: contacts of one customer that name one case, else on one intent in one direction with no gap
-- of more than 7 days; a contact of an unknown customer is a journey alone. The case is the one that any
-- event of the interaction names last; what tells of a case and names none is about its own.
CREATE TABLE chained ENGINE = Memory AS
WITH
    matters AS
    (
        SELECT interaction_id AS contact, argMax(if(case_id != '', case_id, interaction_id), place) AS matter
        FROM known
        WHERE kind NOT IN ('performer_state', 'plan', 'tick')
            AND (case_id != '' OR kind IN ('case_opened', 'case_resolved', 'case_reopened'))
        GROUP BY interaction_id
    ),
    -- Where a contact was given up by its customer: in a queue, or with a bot before any queue.
    endings AS
    (
        SELECT
            interaction_id, queued,
            multiIf(abandoned, 'queue', last_bot_outcome IN ('left', 'timed_out') AND NOT queued, 'bot', '') AS given_up_in
        FROM whole
    ),
    courses AS
    (
        SELECT interaction_id, own_channels, matter
        FROM spans
        LEFT JOIN matters USING (contact)
    ),
    linked AS
    (
        SELECT
            *,
            if(customer_key = '', interaction_id, customer_key) AS who,
            if(matter != '' AND customer_key != '', (matter, '', ''), ('', toString(direction), toString(intent))) AS chain,
            max(ifNull(ended_ms, started_ms)) OVER before_it AS reached_ms,
            count() OVER before_it AS earlier,
            lag(channel) OVER in_order AS last_channel,
            lag(ifNull(resolved, false)) OVER in_order AS last_resolved,
            earlier = 0 OR (chain.1 = '' AND started_ms - reached_ms > 604800000) AS begins
        FROM (SELECT * FROM interactions INNER JOIN endings USING (interaction_id) INNER JOIN courses USING (interaction_id)) AS in_history
        WINDOW
            in_order AS (PARTITION BY who, chain ORDER BY started_ms, interaction_id),
            before_it AS (PARTITION BY who, chain ORDER BY started_ms, interaction_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    numbered AS
    (
        SELECT *, sum(begins) OVER (PARTITION BY who, chain ORDER BY started_ms, interaction_id) AS number
        FROM linked
    )
SELECT *, first_value(interaction_id) OVER (PARTITION BY who, chain, number ORDER BY started_ms, interaction_id) AS journey_id
FROM numbered;

CREATE TABLE journeys ENGINE = Memory AS
SELECT
    argMin(n.interaction_id, (n.started_ms, n.interaction_id)) AS interaction_id,
    any(n.customer_key) AS customer_key,
    argMin(n.channel, (n.started_ms, n.interaction_id)) AS channel,
    argMin(n.direction, (n.started_ms, n.interaction_id)) AS direction,
    argMin(n.queue, (n.started_ms, n.interaction_id)) AS queue,
    argMin(n.intent, (n.started_ms, n.interaction_id)) AS intent,
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
    argMin(n.flow, (n.started_ms, n.interaction_id)) AS flow,
    argMax(n.team, (n.started_ms, n.interaction_id)) AS team,
    argMin(n.language, (n.started_ms, n.interaction_id)) AS language,
    argMin(n.source, (n.started_ms, n.interaction_id)) AS source,
    min(n.started_ms) AS started_ms,
    if(countIf(n.ended_ms IS NULL) > 0, NULL, max(n.ended_ms)) AS ended_ms,
    argMax(tuple(n.resolved), (n.started_ms, n.interaction_id)).1 AS resolved,
    if(ifNull(argMax(tuple(n.resolved), (n.started_ms, n.interaction_id)).1, false), argMax(tuple(n.ended_ms), (n.started_ms, n.interaction_id)).1, NULL) AS resolved_ms,
    max(n.bot_sessions > 0) AS entered_bot,
    max(n.queued) AS entered_queue,
    argMax(n.given_up_in, (n.started_ms, n.interaction_id)) AS given_up_in,
    toInt64(count()) AS interactions,
    toInt64(countIf(NOT n.begins AND n.channel != n.last_channel)) AS channel_switches,
    toInt64(sum(n.transfers)) AS transfers,
    toInt64(sum(n.handoffs_without_context)) AS handoffs_without_context,
    greatest(toInt64(sum(n.authentications)) - 1, 0) AS reauthentications,
    toInt64(sum(n.info_repeats)) AS info_repeats,
    toInt64(sum(n.wait_ms)) AS wait_ms,
    argMin(n.matter, (n.started_ms, n.interaction_id)) AS matter,
    toInt64(length(groupUniqArrayArray(if(empty(n.own_channels), [n.channel], n.own_channels)))) AS channels,
    toInt64(countIf(NOT n.begins AND n.last_resolved)) AS reopens,
    multiIf(
        uniqExactIf(n.handled_by, n.handled_by != 'none') = 0, 'none',
        uniqExactIf(n.handled_by, n.handled_by != 'none') > 1, 'both',
        anyIf(n.handled_by, n.handled_by != 'none')
    ) AS handled_by,
    toInt64(sum(n.bot_sessions)) AS bot_sessions,
    toInt64(sum(n.handoffs)) AS handoffs,
    argMin(n.performer_kind, (n.started_ms, n.interaction_id)) AS first_performer_kind,
    argMin(n.performer_id, (n.started_ms, n.interaction_id)) AS first_performer_id,
    argMin(n.model_version, (n.started_ms, n.interaction_id)) AS first_model_version,
    argMin(n.team, (n.started_ms, n.interaction_id)) AS first_team
FROM chained AS n
GROUP BY n.journey_id;

-- Contacts of customers with their neighbours: the next start after the end, the last end before the
-- start, among contacts in the same direction. Who is not known has no neighbours.
-- ``kept`` leaves out contacts abandoned in a queue; ``outbound`` are calls out, to whoever called in. Who
-- asked to be called back was, when a human accepted the same contact again or served a call out.
CREATE TABLE contacts ENGINE = Memory AS
WITH
    histories AS
    (
        SELECT customer_key, groupArray((started_ms, ended_ms, intent, queue, direction, abandoned, handled, matter)) AS history
        FROM chained
        WHERE customer_key != ''
        GROUP BY customer_key
    ),
    bots AS
    (
        SELECT interaction_id, max(handoff_ms IS NOT NULL) AS part_handed_off, max(outcome IN ('left', 'timed_out')) AS part_left_bot
        FROM stints
        WHERE performer_kind = 'bot'
        GROUP BY interaction_id
    ),
    parts AS
    (
        SELECT
            interaction_id, 'interaction' AS part, started_ms AS part_started_ms, ended_ms AS part_ended_ms, part_handed_off,
            part_left_bot, performer_kind AS part_kind, performer_id AS part_performer, model_version AS part_version,
            flow AS part_flow, team AS part_team,
            '' AS bot_outcome, toInt64(0) AS turns
        FROM interactions
        LEFT JOIN bots USING (interaction_id)
        UNION ALL
        SELECT
            interaction_id, 'bot_session', accepted_ms, left_ms, handoff_ms IS NOT NULL, outcome IN ('left', 'timed_out'),
            'bot', performer, own_version, own_flow, t.team, outcome, toInt64(turns)
        FROM stints
        LEFT JOIN traits AS t USING (interaction_id, performer)
        WHERE performer_kind = 'bot'
    ),
    beside AS
    (
        SELECT
            *,
            -- (gap, same intent, same queue, same direction, not abandoned, a call out, same case)
            arrayMap(
                c -> (
                    assumeNotNull(c.1 - part_ended_ms), c.3 = intent, c.4 = queue, c.5 = direction, NOT c.6, c.5 = 'outbound',
                    matter != '' AND c.8 = matter
                ),
                arrayFilter(c -> ifNull(c.1 > part_ended_ms, false), history)
            ) AS later,
            arrayMap(
                c -> (assumeNotNull(started_ms - c.2), c.3 = intent, c.4 = queue, matter != '' AND c.8 = matter),
                arrayFilter(c -> c.5 = direction AND ifNull(c.2 < started_ms, false), history)
            ) AS earlier,
            arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.5 = 'outbound' AND c.7 AND c.1 > callback_ms, history))) AS called_out_ms
        FROM (SELECT * FROM interactions INNER JOIN parts USING (interaction_id)) AS in_parts
        LEFT JOIN histories USING (customer_key)
        INNER JOIN (SELECT interaction_id, callback_ms, called_back_ms FROM spans) AS asked USING (interaction_id)
        INNER JOIN (SELECT interaction_id, matter, journey_id FROM chained) AS begun USING (interaction_id)
    )
SELECT
    interaction_id, customer_key, channel, direction, queue, intent,
    part_kind AS performer_kind, part_performer AS performer_id, part_version AS model_version,
    kcr_task, capability, client, vendor, site, location, employment, language, source, part_flow AS flow, part_team AS team,
    part, part_started_ms AS started_ms, part_ended_ms AS ended_ms, handled, abandoned, resolved,
    transfers > 0 AS transferred, part_handed_off AS handed_off, part_left_bot AS left_bot,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.2 AND c.4, later))) AS next_same_intent_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.3 AND c.4, later))) AS next_same_queue_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.4, later))) AS next_any_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.2 AND c.4 AND c.5, later))) AS next_same_intent_kept_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.3 AND c.4 AND c.5, later))) AS next_same_queue_kept_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.4 AND c.5, later))) AS next_any_kept_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.2 AND c.6, later))) AS next_same_intent_outbound_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.3 AND c.6, later))) AS next_same_queue_outbound_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.6, later))) AS next_any_outbound_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.2, earlier))) AS previous_same_intent_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.3, earlier))) AS previous_same_queue_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, earlier)) AS previous_any_ms,
    handled_by, bot_outcome, turns, callback_ms,
    if(callback_ms IS NULL, NULL, least(coalesce(called_out_ms, called_back_ms), coalesce(called_back_ms, called_out_ms))) AS called_back_ms,
    journey_id, matter,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.7 AND c.4, later))) AS next_same_case_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.7 AND c.4 AND c.5, later))) AS next_same_case_kept_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.7 AND c.6, later))) AS next_same_case_outbound_ms,
    arrayReduce('minOrNull', arrayMap(c -> c.1, arrayFilter(c -> c.4, earlier))) AS previous_same_case_ms
FROM beside;
