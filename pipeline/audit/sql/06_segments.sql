-- Interactions, stints and stays, by the names and columns of their views.

CREATE TABLE interactions ENGINE = Memory AS
SELECT
    whole.interaction_id AS interaction_id, customer_key, channel, direction, entry_queue AS queue, intent,
    last_kind AS performer_kind, last_performer AS performer_id,
    if(t.model_version != '', t.model_version, last_version) AS model_version,
    kcr_task, capability, client,
    if(t.vendor != '', t.vendor, whole.vendor) AS vendor,
    t.site AS site, t.location AS location, t.employment AS employment, language, source, flow, t.team AS team,
    started_ms, ended_ms, closed_ms, ended_by, resolved, stint_count > 0 AS handled, handled_by, abandoned,
    toInt64(stint_count) AS stints, toInt64(transfers) AS transfers, toInt64(bot_sessions) AS bot_sessions,
    toInt64(handoffs) AS handoffs, toInt64(contexts_lost) AS handoffs_without_context,
    toInt64(authentications) AS authentications, toInt64(info_repeats) AS info_repeats,
    toInt64(waited_ms) AS wait_ms, talk_ms, hold_ms, wrap_ms, consult_ms,
    toInt64(blind_transfers) AS blind_transfers, toInt64(warm_transfers) AS warm_transfers, toInt64(conferences) AS conferences,
    due_ms, if(given_up OR abandoned, NULL, ended_ms) AS done_ms, first_reply_ms
FROM whole
LEFT JOIN traits AS t ON t.interaction_id = whole.interaction_id AND t.performer = last_performer;

-- Wrap-up whose contact is not told is a stint too, but handles nothing.
CREATE TABLE handling_segments ENGINE = Memory AS
WITH
    repetitions AS
    (
        SELECT
            interaction_id,
            groupArrayIf((place, at_ms), kind = 'authenticated') AS authenticated_at,
            groupArrayIf(at_ms, kind = 'info_repeated') AS repeated_at
        FROM told
        WHERE kind IN ('authenticated', 'info_repeated')
        GROUP BY interaction_id
    )
SELECT
    s.interaction_id AS interaction_id, customer_key, channel, direction, s.queue AS queue, intent,
    s.performer_kind AS performer_kind, s.performer AS performer_id,
    if(t.model_version != '', t.model_version, own_version) AS model_version,
    kcr_task, capability, client, if(t.vendor != '', t.vendor, w.vendor) AS vendor,
    t.site AS site, t.location AS location, t.employment AS employment, language, source,
    -- Of several bots each answers for its own flow, also where it tells none.
    if(s.performer_kind = 'bot', own_flow, w.flow) AS flow, t.team AS team,
    if(leg = '', s.interaction_id, leg) AS leg_id, via, accepted_ms, left_ms, s.closed_ms AS closed_ms,
    s.talk_ms AS talk_ms, s.hold_ms AS hold_ms, s.wrap_ms AS wrap_ms,
    if(s.talk_ms IS NULL, NULL, least(consulted_ms, s.talk_ms)) AS consult_ms,
    s.handled AS handled, transferred, transfer_kind, toInt64(turns) AS turns, outcome AS bot_outcome,
    handoff_ms, context_ok AS handoff_context_ok, handoff_accepted_ms, handoff_abandoned, unknown_end,
    -- The first authentication of a contact is none again.
    handoff_ms IS NOT NULL AND (
        arrayExists(at -> at > ifNull(handoff_ms, 0), repeated_at)
        OR arrayExists(at -> at.2 > ifNull(handoff_ms, 0) AND at.1 > authenticated_place, authenticated_at)
    ) AS handoff_repeated,
    toInt64(no_match_turns) AS no_match_turns, toInt64(no_input_turns) AS no_input_turns, confidence_turns, confidence_micro,
    lowest_confidence_micro, input_tokens, output_tokens, s.place AS place, event_id
FROM stints AS s
INNER JOIN whole AS w ON w.interaction_id = s.interaction_id
LEFT JOIN traits AS t ON t.interaction_id = s.interaction_id AND t.performer = s.performer
LEFT JOIN repetitions ON repetitions.interaction_id = s.interaction_id
UNION ALL
SELECT
    t.interaction_id, d.customer_key, d.channel, d.direction, t.queue, d.intent, t.performer_kind, t.performer, p.model_version,
    d.kcr_task, d.capability, d.client, if(p.vendor != '', p.vendor, d.vendor), p.site, p.location, p.employment, d.language, d.source, d.flow, p.team,
    if(leg = '', t.interaction_id, leg), 'wrap_only', at_ms - assumeNotNull(t.wrap_ms), at_ms - t.wrap_ms, at_ms,
    0, ifNull(t.hold_ms, 0), t.wrap_ms, 0, false, false, '', 0, '', NULL, NULL, NULL, false, false, false, 0, 0, 0, 0, NULL, 0, 0, place, event_id
FROM told AS t
INNER JOIN
(
    SELECT
        interaction_id, argMaxIf(customer_key, place, customer_key != '') AS customer_key, argMinIf(channel, place, acts) AS channel,
        argMinIf(direction, place, acts) AS direction, argMinIf(source, place, acts) AS source, argMaxIf(intent, place, intent != '') AS intent,
        argMaxIf(kcr_task, place, kcr_task != '') AS kcr_task, argMaxIf(capability, place, capability != '') AS capability,
        argMaxIf(client, place, client != '') AS client, argMaxIf(vendor, place, vendor != '') AS vendor,
        argMaxIf(language, place, language != '') AS language, argMaxIf(flow, place, flow != '') AS flow
    FROM told
    GROUP BY interaction_id
    HAVING countIf(acts AND kind NOT IN ('wrapup_started', 'wrapup_ended')) = 0
) AS d ON d.interaction_id = t.interaction_id
LEFT JOIN traits AS p ON p.interaction_id = t.interaction_id AND p.performer = t.performer
WHERE t.kind = 'wrapup_ended' AND t.wrap_ms IS NOT NULL;

-- A stay is credited to who ended it by accepting.
CREATE TABLE queue_segments ENGINE = Memory AS
WITH pending AS
(
    SELECT interaction_id, groupArray((handoff_place, next_place)) AS found
    FROM bot_parts
    LEFT JOIN handoffs USING (interaction_id, session)
    WHERE handoff_place > 0
    GROUP BY interaction_id
)
SELECT
    s.interaction_id AS interaction_id, w.customer_key AS customer_key, w.channel AS channel, w.direction AS direction, s.queue AS queue, w.intent AS intent,
    h.performer_kind AS performer_kind, h.performer_id AS performer_id, h.model_version AS model_version,
    w.kcr_task AS kcr_task, if(s.capability != '', s.capability, w.capability) AS capability, w.client AS client,
    if(h.interaction_id != '', h.vendor, w.vendor) AS vendor, h.site AS site, h.location AS location,
    h.employment AS employment, w.language AS language, w.source AS source,
    if(s.flow != '', s.flow, w.flow) AS flow, if(s.team != '', s.team, h.team) AS team,
    if(s.leg = '', s.interaction_id, s.leg) AS leg_id, s.entered_ms AS entered_ms, s.left_ms AS left_ms, s.outcome AS outcome, s.reason AS reason,
    s.wait_ms AS wait_ms,
    arrayExists(bot -> bot.1 <= s.place AND (bot.2 = 0 OR bot.2 > s.place), pending.found) AS after_bot
FROM stays AS s
INNER JOIN (SELECT interaction_id, customer_key, channel, direction, intent, kcr_task, capability, client, vendor, language, source, flow FROM whole) AS w
    ON w.interaction_id = s.interaction_id
LEFT JOIN handling_segments AS h ON h.interaction_id = s.interaction_id AND h.place = s.next_place AND s.outcome = 'answered'
LEFT JOIN pending ON pending.interaction_id = s.interaction_id;

-- ----------------------------------------------------------------------------------------------------
-- Offers that were not taken: from ringing to the first of: it is declined, somebody accepts on the leg,
-- it is offered anew, the customer leaves. An offer that still rings is not missed yet. Bots are not
-- offered anything.
CREATE TABLE missed_offers ENGINE = Memory AS
WITH
    offers AS
    (
        SELECT * FROM told WHERE kind = 'ringing' AND performer != '' AND performer_kind != 'bot'
    ),
    endings AS
    (
        SELECT
            o.interaction_id AS interaction_id, o.place AS place,
            min(t.place) AS end_place,
            argMin(t.at_ms, t.place) AS missed_ms,
            argMin(
                multiIf(
                    t.kind = 'declined', 'declined',
                    t.kind = 'accepted' AND t.performer = o.performer, 'taken',
                    t.kind IN ('accepted', 'ringing'), 'unanswered',
                    'withdrawn'
                ), t.place
            ) AS reason
        FROM offers AS o
        INNER JOIN told AS t ON t.interaction_id = o.interaction_id
        WHERE t.place > o.place AND (
            t.kind = 'completed'
            OR (t.leg = o.leg AND t.kind IN ('accepted', 'abandoned', 'left_queue'))
            OR (t.leg = o.leg AND t.performer = o.performer AND (t.kind = 'declined' OR (t.kind = 'ringing' AND t.performer_kind != 'bot')))
        )
        GROUP BY interaction_id, place
    ),
    missed AS
    (
        SELECT
            o.interaction_id AS interaction_id, o.leg AS leg, o.queue AS queue, o.performer AS performer, o.performer_kind AS performer_kind,
            o.at_ms AS told_ms, toNullable(o.at_ms) AS offered_ms, e.missed_ms AS missed_ms, e.reason AS reason
        FROM offers AS o
        INNER JOIN endings AS e ON e.interaction_id = o.interaction_id AND e.place = o.place
        WHERE e.reason != 'taken'
        UNION ALL
        SELECT interaction_id, leg, queue, performer, performer_kind, at_ms, NULL, at_ms, 'declined'
        FROM told
        WHERE kind = 'declined' AND performer != '' AND (interaction_id, place) NOT IN (SELECT interaction_id, end_place FROM endings)
    ),
    entries AS
    (
        SELECT interaction_id, groupArray((queue, entered_ms)) AS entries_of_all
        FROM (SELECT * FROM stays ORDER BY place)
        GROUP BY interaction_id
    )
SELECT
    m.interaction_id AS interaction_id, w.customer_key AS customer_key, w.channel AS channel, w.direction AS direction,
    if(m.queue != '', m.queue, arrayLast(entry -> entry.2 < m.told_ms, entries_of_all).1) AS queue,
    w.intent AS intent, m.performer_kind AS performer_kind, m.performer AS performer_id, t.model_version AS model_version,
    w.kcr_task AS kcr_task, w.capability AS capability, w.client AS client, if(t.vendor != '', t.vendor, w.vendor) AS vendor,
    t.site AS site, t.location AS location, t.employment AS employment, w.language AS language, w.source AS source,
    w.flow AS flow, t.team AS team,
    if(m.leg = '', m.interaction_id, m.leg) AS leg_id, offered_ms, missed_ms, reason
FROM missed AS m
INNER JOIN (SELECT interaction_id, customer_key, channel, direction, intent, kcr_task, capability, client, vendor, language, source, flow FROM whole) AS w
    ON w.interaction_id = m.interaction_id
LEFT JOIN traits AS t ON t.interaction_id = m.interaction_id AND t.performer = m.performer
LEFT JOIN entries ON entries.interaction_id = m.interaction_id;
