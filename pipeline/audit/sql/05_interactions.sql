-- Beginning and end of interactions. An end holds unless somebody serves or the customer waits when it is
-- told, or the contact is queued or accepted after it. A platform that began anew ends what is open with
-- the last sign of life. Who is silent for too long has ended, unknown, with that sign too: a contact that
-- only a bot serves after 60 minutes, voice and messaging after 24 hours, everything else after 7 days.
-- A bot that greets an empty chair is no interaction, and neither is wrap-up of nothing.
CREATE TABLE ends_told ENGINE = Memory AS
WITH
    segments AS
    (
        SELECT interaction_id, groupArray((place, out_place)) AS open_from_to
        FROM
        (
            SELECT interaction_id, place, next_place AS out_place FROM stays_told
            UNION ALL
            SELECT interaction_id, place, out_place FROM humans_told
            UNION ALL
            SELECT interaction_id, place, if(over, over_place, 0) FROM bot_parts
        )
        GROUP BY interaction_id
    ),
    first_bots AS
    (
        SELECT interaction_id, min(place) AS bot_place FROM bot_parts GROUP BY interaction_id
    ),
    said AS
    (
        SELECT
            interaction_id, place, at_ms, false AS is_lost,
            multiIf(kind = 'abandoned' OR (kind = 'bot_ended' AND outcome = 'left'), 'customer', kind = 'bot_ended', 'bot',
                ended_by = '', 'unknown', ended_by) AS end_by
        FROM told
        LEFT JOIN first_bots USING (interaction_id)
        WHERE kind IN ('completed', 'abandoned') OR (kind = 'bot_ended' AND outcome != 'handoff' AND bot_place > 0 AND bot_place < place)
    ),
    holding AS
    (
        SELECT said.*
        FROM said
        LEFT JOIN segments USING (interaction_id)
        WHERE NOT arrayExists(found -> found.1 < place AND (found.2 > place OR found.2 = 0), open_from_to)
    ),
    -- What ended before, or was lost before, cannot be lost again until it goes on.
    changes AS
    (
        SELECT interaction_id, place, true AS goes_on FROM told WHERE kind IN ('queued', 'accepted')
        UNION ALL
        SELECT interaction_id, place, false FROM holding
        UNION ALL
        SELECT interaction_id, place, false FROM lost
    ),
    before_losses AS
    (
        SELECT *, lagInFrame(goes_on, 1, true) OVER (PARTITION BY interaction_id ORDER BY place ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS is_open
        FROM changes
    )
SELECT interaction_id, place, at_ms, is_lost, end_by FROM holding
UNION ALL
SELECT lost.interaction_id, lost.place, sign_ms, true, 'unknown'
FROM lost
INNER JOIN before_losses ON before_losses.interaction_id = lost.interaction_id AND before_losses.place = lost.place
WHERE is_open;

CREATE TABLE spans ENGINE = Memory AS
WITH
    lives AS
    (
        SELECT
            interaction_id,
            any(contact) AS contact,
            minIf(at_ms, acts) AS started_ms,
            maxIf(at_ms, acts) AS last_sign_ms,
            countIf(acts) > 0 AND countIf(acts AND kind NOT IN ('wrapup_started', 'wrapup_ended')) > 0 AS acted,
            countIf(acts AND NOT greets) > 0 AS answered_greeting,
            -- What a bot says may not know the channel.
            argMinIf(channel, (greets, place), acts) AS channel,
            groupUniqArrayIf(channel, acts AND NOT greets) AS own_channels,
            argMinIf(direction, (greets, place), acts) AS direction,
            argMinIf(source, (greets, place), acts) AS source,
            argMaxIf(customer_key, place, customer_key != '') AS customer_key,
            argMaxIf(intent, place, intent != '') AS intent,
            argMaxIf(kcr_task, place, kcr_task != '') AS kcr_task,
            argMaxIf(capability, place, capability != '') AS capability,
            argMaxIf(client, place, client != '') AS client,
            argMaxIf(vendor, place, vendor != '') AS vendor,
            argMaxIf(language, place, language != '') AS language,
            argMaxIf(flow, place, flow != '') AS flow,
            argMinIf(queue, place, kind IN ('queued', 'accepted') AND queue != '') AS entry_queue,
            countIf(kind = 'transfer' AND performer_kind != 'bot') AS transfers,
            countIf(kind = 'transfer' AND performer_kind != 'bot' AND transfer_kind = 'blind') AS blind_transfers,
            countIf(kind = 'transfer' AND performer_kind != 'bot' AND transfer_kind = 'warm') AS warm_transfers,
            countIf(kind = 'transfer' AND performer_kind != 'bot' AND transfer_kind = 'conference') AS conferences,
            countIf(kind = 'authenticated') AS authentications,
            minIf(place, kind = 'authenticated') AS authenticated_place,
            countIf(kind = 'info_repeated') AS info_repeats,
            argMaxIf(resolved, place, kind = 'completed' AND resolved IS NOT NULL) AS said_resolved,
            maxIf(place, kind = 'completed' AND resolved IS NOT NULL) AS resolved_place,
            maxIf(place, kind = 'bot_ended' AND outcome = 'resolved') AS bot_resolved_place,
            maxIf(place, kind IN ('queued', 'accepted')) AS goes_on_place,
            argMax(due_ms, place) AS due_ms,
            argMin(reply_ms, place) AS replied_ms,
            minIf(toNullable(at_ms), kind = 'accepted' AND performer_kind != 'bot' AND via != 'consult') AS met_ms,
            minIf(place, kind = 'left_queue' AND reason = 'callback') AS callback_place,
            minIf(toNullable(at_ms), kind = 'left_queue' AND reason = 'callback') AS callback_ms,
            groupArrayIf((place, at_ms), kind = 'accepted' AND performer_kind != 'bot') AS acceptances
        FROM told
        GROUP BY interaction_id
    ),
    bots AS
    (
        SELECT
            interaction_id,
            count() AS bot_count,
            min(place) AS bot_place,
            countIf(NOT over) > 0 AS bot_open,
            countIf(outcome = 'handoff' AND ifNull(next_step, '') = '') > 0 AS handoff_pends
        FROM bot_parts
        LEFT JOIN handoffs USING (interaction_id, session)
        GROUP BY interaction_id
    ),
    others AS
    (
        SELECT interaction_id, max(is_human) AS humans, max(is_waiting) AS waits
        FROM
        (
            SELECT interaction_id, true AS is_human, false AS is_waiting FROM humans_told
            UNION ALL
            SELECT interaction_id, false, next_place = 0 FROM stays_told
        )
        GROUP BY interaction_id
    ),
    last_ends AS
    (
        SELECT
            interaction_id, max(place) AS end_place, argMax(at_ms, place) AS end_ms, argMax(end_by, place) AS end_by,
            argMax(is_lost, place) AS end_lost
        FROM ends_told
        GROUP BY interaction_id
    ),
    ends AS
    (
        SELECT
            *,
            end_place > goes_on_place AS said_to_end,
            last_sign_ms + multiIf(
                bot_open OR (bot_count > 0 AND NOT humans AND NOT waits AND NOT handoff_pends), 3600000,
                channel IN ('voice', 'web_chat', 'wechat', 'whatsapp', 'facebook', 'instagram', 'line', 'sms'), 86400000,
                604800000
            ) AS silent_until_ms
        FROM lives
        LEFT JOIN bots USING (interaction_id)
        LEFT JOIN others USING (interaction_id)
        LEFT JOIN last_ends USING (interaction_id)
        WHERE acted AND answered_greeting
    )
SELECT
    * EXCEPT (
        said_resolved, resolved_place, bot_resolved_place, end_place, end_ms, end_by, end_lost, goes_on_place, said_to_end,
        bot_count, bot_place, bot_open, handoff_pends, humans, waits, replied_ms, met_ms, callback_place, acceptances, acted, answered_greeting
    ),
    if(said_to_end, end_lost, silent_until_ms <= {as_of_ms:Int64}) AS given_up,
    multiIf(said_to_end, toNullable(end_ms), given_up, last_sign_ms, NULL) AS ended_ms,
    multiIf(said_to_end, end_by, given_up, 'unknown', '') AS ended_by,
    multiIf(bot_place < bot_resolved_place AND resolved_place < bot_resolved_place AND bot_count > 0, toNullable(true), resolved_place > 0, said_resolved, NULL) AS resolved,
    -- On deferred channels to accept a contact is not yet to reply to it.
    multiIf(
        replied_ms IS NOT NULL, replied_ms,
        channel IN ('email', 'task', 'other'), NULL,
        met_ms - started_ms
    ) AS first_reply_ms,
    if(
        callback_place = 0, NULL,
        arrayMin(arrayMap(found -> toNullable(found.2), arrayFilter(found -> found.1 > callback_place, arrayConcat(acceptances, [(18446744073709551614, NULL)]))))
    ) AS called_back_ms
FROM ends;

-- ----------------------------------------------------------------------------------------------------
-- Stays and stints as they stand, ends by silence and by a new beginning of the platform included.
CREATE TABLE stays ENGINE = Memory AS
SELECT
    s.interaction_id AS interaction_id, s.place AS place, event_id, leg, next_place, queue, s.capability AS capability, s.flow AS flow, s.team AS team, entered_ms, reason,
    multiIf(
        told_outcome = 'lost', 'ended',
        told_outcome != '', told_outcome,
        given_up, 'ended',
        'waiting'
    ) AS outcome,
    multiIf(
        told_outcome = 'lost', toNullable(least(assumeNotNull(told_left_ms), silent_until_ms)),
        told_outcome != '', told_left_ms,
        given_up, silent_until_ms,
        NULL
    ) AS left_ms,
    -- A record of the leg wins over what the events said, the end of the contact over the acceptance.
    if(outcome = 'waiting', NULL, coalesce(r.wait_ms, if(outcome = 'answered', m.wait_ms, NULL), told_wait_ms)) AS wait_ms
FROM stays_told AS s
INNER JOIN spans USING (interaction_id)
LEFT JOIN recorded_waits AS r ON r.interaction_id = s.interaction_id AND r.stay_place = s.place
LEFT JOIN measures AS m ON m.interaction_id = s.interaction_id AND m.stint_place = s.next_place;

--   handle time = talk + hold + wrap-up. The work is complete after wrap-up, where there is one, else at
--   the end of the stint. A bot has handled what it gave a turn to, resolved or handed over.
CREATE TABLE stints ENGINE = Memory AS
WITH
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
    humans AS
    (
        SELECT
            h.interaction_id AS interaction_id, h.place AS place, event_id, leg, performer, performer_kind, h.queue AS queue, via, accepted_ms,
            transferred, transfer_kind, wrap_started_ms, wrap_ended_ms, held_ms, consulted_ms,
            arrayLast(entry -> entry.3 < accepted_ms, entries_of_all).2 AS queue_before,
            answered_queue, by_queue, m.talk_ms AS own_talk_ms, m.hold_ms AS own_hold_ms, m.wrap_ms AS own_wrap_ms,
            coalesce(h.left_ms, m.recorded_ms) AS left_ms,
            (h.is_lost OR (h.left_ms IS NULL AND given_up)) AND m.recorded_ms IS NULL AS unknown_end
        FROM humans_told AS h
        INNER JOIN spans USING (interaction_id)
        LEFT JOIN answered ON answered.interaction_id = h.interaction_id AND answered.place = h.place
        LEFT JOIN entries ON entries.interaction_id = h.interaction_id
        LEFT JOIN measures AS m ON m.interaction_id = h.interaction_id AND m.stint_place = h.place
    )
SELECT
    interaction_id, place, event_id, leg, performer, performer_kind,
    multiIf(by_queue, answered_queue, queue != '', queue, queue_before) AS queue,
    multiIf(via != '', via, by_queue, 'queue', 'direct') AS via,
    accepted_ms, left_ms,
    multiIf(
        wrap_ended_ms IS NOT NULL, wrap_ended_ms,
        left_ms IS NULL, NULL,
        wrap_started_ms IS NOT NULL, wrap_started_ms + own_wrap_ms,
        left_ms + ifNull(own_wrap_ms, 0)
    ) AS closed_ms,
    if(closed_ms IS NULL, NULL, coalesce(own_talk_ms, greatest(left_ms - accepted_ms - held_ms, 0))) AS talk_ms,
    if(closed_ms IS NULL, NULL, coalesce(own_hold_ms, held_ms)) AS hold_ms,
    if(closed_ms IS NULL, NULL, coalesce(own_wrap_ms, wrap_ended_ms - coalesce(wrap_started_ms, left_ms), 0)) AS wrap_ms,
    consulted_ms,
    true AS handled,
    transferred, transfer_kind,
    toUInt64(0) AS turns,
    '' AS outcome,
    CAST(NULL, 'Nullable(Int64)') AS handoff_ms,
    CAST(NULL, 'Nullable(Bool)') AS context_ok,
    CAST(NULL, 'Nullable(Int64)') AS handoff_accepted_ms,
    false AS handoff_abandoned,
    '' AS own_version, '' AS own_flow,
    unknown_end,
    toUInt64(0) AS no_match_turns, toUInt64(0) AS no_input_turns, toInt64(0) AS confidence_turns, toInt64(0) AS confidence_micro,
    CAST(NULL, 'Nullable(Int64)') AS lowest_confidence_micro, toInt64(0) AS input_tokens, toInt64(0) AS output_tokens
FROM humans
UNION ALL
SELECT
    interaction_id, bot_parts.place, event_id, leg, performer, 'bot',
    if(queue != '', queue, arrayLast(entry -> entry.3 < bot_parts.started_ms, entries_of_all).2), 'direct', bot_parts.started_ms,
    multiIf(over, toNullable(over_ms), given_up, last_sign_ms, NULL) AS left_ms,
    left_ms AS closed_ms,
    left_ms - bot_parts.started_ms AS talk_ms,
    if(left_ms IS NULL, NULL, toNullable(0)) AS hold_ms, if(left_ms IS NULL, NULL, toNullable(0)) AS wrap_ms,
    toNullable(0) AS consulted_ms,
    turns > 0 OR outcome IN ('resolved', 'handoff') AS handled,
    false AS transferred, '',
    turns,
    if(over, bot_parts.outcome, if(given_up, 'timed_out', '')) AS outcome,
    handoff_ms,
    context_ok,
    if(next_step = 'accepted', toNullable(next_ms), NULL) AS handoff_accepted_ms,
    next_step = 'abandoned' AS handoff_abandoned,
    own_version, own_flow,
    false AS unknown_end,
    no_match_turns, no_input_turns, confidence_turns, confidence_micro, lowest_confidence_micro, input_tokens, output_tokens
FROM bot_parts
INNER JOIN spans USING (interaction_id)
LEFT JOIN handoffs USING (interaction_id, session)
LEFT JOIN entries USING (interaction_id);

-- ----------------------------------------------------------------------------------------------------
-- Where performers of an interaction sit and whom they work for: what was told last of each.
CREATE TABLE traits ENGINE = Memory AS
SELECT
    interaction_id, performer,
    argMaxIf(model_version, place, model_version != '') AS model_version,
    argMaxIf(site, place, site != '') AS site,
    argMaxIf(location, place, location != '') AS location,
    argMaxIf(employment, place, employment != '') AS employment,
    argMaxIf(team, place, team != '') AS team,
    argMaxIf(vendor, place, vendor != '') AS vendor
FROM told
WHERE performer != ''
GROUP BY interaction_id, performer;

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
            sumIf(consulted_ms, handled) AS consult_ms,
            countIf(performer_kind = 'bot') AS bot_sessions,
            countIf(handoff_ms IS NOT NULL) AS handoffs,
            countIf(handoff_ms IS NOT NULL AND context_ok = false) AS contexts_lost,
            -- Who served last is who left last.
            argMaxIf((performer, performer_kind, queue, own_version), (left_ms IS NULL, ifNull(left_ms, 0), place), handled) AS last_server,
            argMaxIf(outcome, place, performer_kind = 'bot') AS last_bot_outcome
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
    last_outcome != '' AS queued,
    last_outcome = 'abandoned' AND ifNull(last_left_ms = ended_ms, false) AS abandoned,
    stint_count > 0 AND open_count = 0 AND ended_ms IS NOT NULL AS work_done,
    if(work_done, greatest(ended_ms, last_closed_ms), NULL) AS closed_ms,
    if(work_done, talk_ms, NULL) AS talk_ms,
    if(work_done, hold_ms, NULL) AS hold_ms,
    if(work_done, wrap_ms, NULL) AS wrap_ms,
    if(work_done, consult_ms, NULL) AS consult_ms,
    last_server.1 AS last_performer, last_server.2 AS last_kind, last_server.3 AS last_queue, last_server.4 AS last_version
FROM spans
LEFT JOIN waits USING (interaction_id)
LEFT JOIN work USING (interaction_id);
