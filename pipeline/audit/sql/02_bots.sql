-- Bot sessions: from bot_started to the first event that takes the contact from the bot.
--   bot_ended: as it says. handoff, or a queue entered: handed off. completed: resolved if it says so,
--   else left if the customer ended it. abandoned: left. A human accepts, or another bot: ended.
--   The platform began anew: timed out with the last sign of life.
-- A turn with no bot begins a session too, and so does a handoff by a bot that has handed over already.
-- A user turn is one not said to be the bot's. What a bot says once its session is over begins none.

CREATE TABLE bot_steps ENGINE = Memory AS
WITH
    steps AS
    (
        SELECT
            interaction_id, place, event_id, kind, at_ms, at_ms AS over_ms, leg, queue, outcome, ended_by, resolved, context_ok,
            if(performer = '', 'bot', performer) AS bot, model_version, flow, user_turn, no_match, no_input, confidence_micro,
            input_tokens, output_tokens,
            multiIf(
                kind = 'bot_ended', if(outcome = '', 'ended', outcome),
                kind IN ('handoff', 'queued'), 'handoff',
                kind = 'completed', multiIf(ifNull(resolved, false), 'resolved', ended_by = 'customer', 'left', 'ended'),
                kind = 'abandoned', 'left',
                'ended'
            ) AS makes
        FROM told
        WHERE kind IN ('bot_started', 'bot_turn', 'handoff', 'bot_ended', 'queued', 'completed', 'abandoned')
            OR (kind = 'accepted' AND performer_kind != 'bot')
        UNION ALL
        SELECT
            interaction_id, place, '', 'lost', lost_ms, sign_ms, '', '', '', '', NULL, NULL, '', '', '', NULL, NULL, NULL, NULL, 0, 0, 'timed_out'
        FROM lost
    ),
    spoken AS
    (
        SELECT
            *,
            kind = 'bot_turn' AND NOT user_turn IS DISTINCT FROM false AS own_words,
            own_words
                AND countIf(kind IN ('bot_started', 'bot_turn', 'handoff')) OVER earlier > 0
                AND argMaxIf(kind, place, NOT own_words) OVER earlier NOT IN ('', 'bot_started', 'bot_turn') AS after_its_end
        FROM steps
        WINDOW earlier AS (PARTITION BY interaction_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    opened AS
    (
        SELECT *, argMaxIf(kind, place, NOT after_its_end) OVER earlier IN ('bot_started', 'bot_turn') AS is_open
        FROM spoken
        WINDOW earlier AS (PARTITION BY interaction_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    begun AS
    (
        SELECT
            *,
            kind = 'bot_turn' AND NOT is_open AND NOT after_its_end AS speaks_up,
            argMaxIf((bot, leg), place, kind = 'bot_started' OR speaks_up) OVER earlier AS who_before,
            speaks_up OR (kind = 'bot_started' AND NOT (is_open AND who_before = (bot, leg))) AS begins,
            kind = 'handoff' OR (kind = 'bot_ended' AND makes = 'handoff') OR (kind = 'queued' AND is_open) AS hands_over
        FROM opened
        WINDOW earlier AS (PARTITION BY interaction_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    grouped AS
    (
        SELECT *, sum(begins) OVER (PARTITION BY interaction_id ORDER BY place) AS started
        FROM begun
    ),
    handed AS
    (
        SELECT
            *,
            kind = 'handoff' AND NOT is_open AND (started = 0 OR countIf(hands_over) OVER earlier > 0) AS begins_handed
        FROM grouped
        WINDOW earlier AS (PARTITION BY interaction_id, started ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    )
SELECT *, sum(begins OR begins_handed) OVER (PARTITION BY interaction_id ORDER BY place) AS session
FROM handed;

CREATE TABLE bot_parts ENGINE = Memory AS
WITH
    parts AS
    (
        SELECT
            interaction_id,
            session,
            min(place) AS place,
            argMin(event_id, place) AS event_id,
            argMin(leg, place) AS leg,
            argMin(bot, place) AS performer,
            argMin(model_version, place) AS own_version,
            argMaxIf(flow, place, flow != '' AND kind IN ('bot_started', 'bot_turn', 'handoff', 'bot_ended')) AS own_flow,
            argMin(queue, place) AS queue,
            min(at_ms) AS started_ms,
            countIf(kind = 'bot_turn' AND user_turn IS DISTINCT FROM false) AS turns,
            countIf(kind = 'bot_turn' AND user_turn IS DISTINCT FROM false AND ifNull(no_match, false)) AS no_match_turns,
            countIf(kind = 'bot_turn' AND user_turn IS DISTINCT FROM false AND ifNull(no_input, false)) AS no_input_turns,
            groupArrayIf(assumeNotNull(confidence_micro), kind = 'bot_turn' AND user_turn IS DISTINCT FROM false AND confidence_micro IS NOT NULL) AS confidences_micro,
            sumIf(input_tokens, kind IN ('bot_turn', 'handoff', 'bot_ended')) AS input_tokens,
            sumIf(output_tokens, kind IN ('bot_turn', 'handoff', 'bot_ended')) AS output_tokens,
            arraySort(groupArrayIf((place, over_ms, makes), kind NOT IN ('bot_started', 'bot_turn'))) AS takings,
            minIf(place, hands_over) AS handoff_place,
            minIf(at_ms, hands_over) AS handed_ms,
            argMaxIf(tuple(context_ok), place, kind = 'handoff').1 AS context_ok,
            -- What a bot says of its end once it is over counts as long as nothing better is known.
            arrayMap(found -> found.2, arraySort(groupArrayIf((place, makes), kind = 'bot_ended'))) AS endings
        FROM bot_steps
        WHERE session > 0
        GROUP BY interaction_id, session
    ),
    following AS
    (
        SELECT
            *,
            leadInFrame(place, 1, 0) OVER in_order AS next_place,
            leadInFrame(started_ms, 1, 0) OVER in_order AS next_ms
        FROM parts
        WINDOW in_order AS (PARTITION BY interaction_id ORDER BY session ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    )
SELECT
    * EXCEPT (takings, endings, next_place, next_ms, handed_ms, confidences_micro),
    notEmpty(takings) OR next_place > 0 AS over,
    if(notEmpty(takings), takings[1].1, next_place) AS over_place,
    if(notEmpty(takings), takings[1].2, next_ms) AS over_ms,
    multiIf(
        NOT over, '',
        empty(takings), 'ended',
        takings[1].3 = 'ended', arrayFirst(word -> word != 'ended', arrayPushBack(endings, '')),
        takings[1].3
    ) AS told_outcome,
    if(over AND told_outcome = '', 'ended', told_outcome) AS outcome,
    if(handoff_place > 0, toNullable(handed_ms), NULL) AS handoff_ms,
    toInt64(length(confidences_micro)) AS confidence_turns,
    toInt64(arraySum(confidences_micro)) AS confidence_micro,
    if(empty(confidences_micro), NULL, toNullable(arrayMin(confidences_micro))) AS lowest_confidence_micro
FROM following;
