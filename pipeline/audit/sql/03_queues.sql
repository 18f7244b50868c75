-- Ends that are told: an end that names no leg ends all of the contact; one that names a leg spares legs
-- whose own end is told.
CREATE TABLE completions ENGINE = Memory AS
SELECT
    interaction_id,
    arraySort(groupArray((place, at_ms, leg, leg_told, ended_by = 'customer', wait_ms))) AS ends,
    groupUniqArray(leg) AS own_legs
FROM told
WHERE kind = 'completed'
GROUP BY interaction_id;

CREATE TABLE losses ENGINE = Memory AS
SELECT interaction_id, arraySort(groupArray((place, lost_ms))) AS lost_at
FROM lost
GROUP BY interaction_id;

-- ----------------------------------------------------------------------------------------------------
-- Stays in queues, as told: from queued to the next step on the same leg that ends a wait, or the end of
-- that leg. To enter the queue in which one waits changes nothing, and neither does leaving another one.
CREATE TABLE stays_told ENGINE = Memory AS
WITH
    on_legs AS
    (
        SELECT
            *,
            lagInFrame(kind, 1, '') OVER earlier AS kind_before,
            lagInFrame(queue, 1, '') OVER earlier AS queue_before,
            argMaxIf(queue, place, kind = 'queued') OVER earlier AS waits_in
        FROM told
        WHERE kind IN ('queued', 'left_queue', 'abandoned') OR (kind = 'accepted' AND via NOT IN ('direct', 'consult', 'conference'))
        WINDOW earlier AS (PARTITION BY interaction_id, leg ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    steps AS
    (
        SELECT
            *,
            leadInFrame(place, 1, 0) OVER in_order AS step_place,
            leadInFrame(kind, 1, '') OVER in_order AS step_kind,
            leadInFrame(at_ms, 1, 0) OVER in_order AS step_ms,
            leadInFrame(reason, 1, '') OVER in_order AS step_reason,
            leadInFrame(wait_ms, 1, NULL) OVER in_order AS step_wait_ms
        FROM on_legs
        WHERE NOT (kind = 'queued' AND kind_before = 'queued' AND queue_before = queue)
            AND NOT (kind IN ('left_queue', 'abandoned') AND queue != '' AND queue != waits_in)
        WINDOW in_order AS (PARTITION BY interaction_id, leg ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ),
    stays AS
    (
        SELECT
            *,
            arrayFirst(end -> end.1 > place AND (NOT end.4 OR end.3 = leg OR NOT has(own_legs, leg)), ends) AS completion,
            arrayFirst(loss -> loss.1 > place, lost_at) AS loss,
            arrayMin(arrayFilter(found -> found > 0, [toUInt64(step_place), toUInt64(completion.1), toUInt64(loss.1), 18446744073709551615])) AS out_place
        FROM (SELECT * FROM steps WHERE kind = 'queued') AS entered
        LEFT JOIN completions USING (interaction_id)
        LEFT JOIN losses USING (interaction_id)
    ),
    -- Where the next queue of the same moment is told first, the way out of this one comes after it.
    ways AS
    (
        SELECT interaction_id, queue, at_ms, argMax(reason, place) AS way
        FROM told
        WHERE kind = 'left_queue' AND reason != ''
        GROUP BY interaction_id, queue, at_ms
    )
SELECT
    stays.interaction_id AS interaction_id, place, event_id, leg, stays.queue AS queue, capability, flow, team, at_ms AS entered_ms,
    if(out_place = 18446744073709551615, 0, out_place) AS next_place,
    multiIf(
        next_place = 0, '',
        next_place = loss.1, 'lost',
        next_place = completion.1, if(completion.5, 'abandoned', 'ended'),
        step_kind = 'accepted', 'answered',
        step_kind = 'abandoned', 'abandoned',
        'flow_out'
    ) AS told_outcome,
    multiIf(next_place = 0, NULL, next_place = loss.1, toNullable(loss.2), next_place = completion.1, completion.2, step_ms) AS told_left_ms,
    multiIf(
        told_outcome != 'flow_out', '',
        step_kind = 'left_queue', if(step_reason = '', 'system', step_reason),
        way != '', way,
        'overflow'
    ) AS reason,
    multiIf(
        told_outcome IN ('', 'lost'), NULL,
        next_place = completion.1, coalesce(completion.6, completion.2 - at_ms),
        step_kind = 'accepted', coalesce(step_wait_ms, step_ms - at_ms),
        toNullable(step_ms - at_ms)
    ) AS told_wait_ms
FROM stays
LEFT JOIN ways ON ways.interaction_id = stays.interaction_id AND ways.queue = stays.queue AND ways.at_ms = told_left_ms;

-- ----------------------------------------------------------------------------------------------------
-- A handoff is taken over by the human who accepts next, unless the customer left a queue before.
CREATE TABLE handoffs ENGINE = Memory AS
WITH next_steps AS
(
    SELECT interaction_id, place, 'accepted' AS step, at_ms FROM told WHERE kind = 'accepted' AND performer_kind != 'bot'
    UNION ALL
    SELECT interaction_id, next_place, 'abandoned', assumeNotNull(told_left_ms) FROM stays_told WHERE told_outcome = 'abandoned'
)
SELECT
    interaction_id,
    session,
    minIf(next_steps.place, next_steps.place > handoff_place) AS next_place,
    argMinIf(step, next_steps.place, next_steps.place > handoff_place) AS next_step,
    argMinIf(at_ms, next_steps.place, next_steps.place > handoff_place) AS next_ms
FROM bot_parts
INNER JOIN next_steps USING (interaction_id)
WHERE handoff_place > 0
GROUP BY interaction_id, session;
