-- Stints of humans, as told: from accepted to the first of: they leave, they pass the contact on blindly,
-- they begin or end their wrap-up, a colleague takes their leg over, their leg or the contact is completed.
--   A transfer that does not say how was blind if its leg is seen in a queue afterwards.
--   Hold: from hold to resume, or to the end of the stint.
--   Consultation: until the customer joins, that is until a colleague transfers the contact or leaves, or
--   until the performer accepts the contact itself.
CREATE TABLE humans_told ENGINE = Memory AS
WITH
    own AS
    (
        SELECT *, countIf(kind = 'accepted') OVER (PARTITION BY interaction_id, performer ORDER BY place) AS stint
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
            groupArrayIf((place, at_ms), kind IN ('left', 'wrapup_started', 'wrapup_ended') OR (kind = 'transfer' AND transfer_kind = 'blind')) AS own_ends,
            arraySort(groupArrayIf((place, at_ms), kind = 'transfer')) AS passings,
            arraySort(groupArrayIf((place, kind, at_ms), kind IN ('hold', 'resume'))) AS holds,
            countIf(kind = 'transfer') > 0 AS transferred,
            argMaxIf(transfer_kind, place, kind = 'transfer') AS transfer_kind,
            minIf(toNullable(at_ms), kind = 'wrapup_started') AS wrap_started_ms,
            minIf(toNullable(at_ms), kind = 'wrapup_ended') AS wrap_ended_ms
        FROM own
        WHERE stint > 0
        GROUP BY interaction_id, performer, stint
    ),
    -- On each leg: who takes it over, and when it is seen in a queue.
    of_legs AS
    (
        SELECT
            interaction_id, leg,
            arraySort(groupArrayIf((place, at_ms, performer), kind = 'accepted' AND via NOT IN ('direct', 'consult', 'conference'))) AS takings,
            arraySort(groupArrayIf(place, kind = 'queued')) AS queued_places
        FROM told
        WHERE kind IN ('accepted', 'queued')
        GROUP BY interaction_id, leg
    ),
    joinings AS
    (
        SELECT interaction_id, arraySort(groupArray((place, at_ms, performer, kind = 'accepted'))) AS joining_steps
        FROM told
        WHERE (kind IN ('transfer', 'left') AND performer_kind != 'bot') OR (kind = 'accepted' AND via != 'consult')
        GROUP BY interaction_id
    ),
    ended AS
    (
        SELECT
            *,
            arrayFirst(taking -> taking.1 > place, takings) AS taken,
            arrayFirst(end -> end.1 > place AND (NOT end.4 OR end.3 = leg OR NOT has(own_legs, leg)), ends) AS completion,
            -- (place, at) of a queue entered after a transfer, and when that transfer was.
            arrayFirst(queued -> arrayExists(passing -> passing.1 < queued, passings), queued_places) AS requeued,
            arrayLast(passing -> passing.1 < requeued, passings) AS passed,
            arraySort(arrayFilter(end -> end.1 > 0, arrayConcat(
                own_ends, [(completion.1, completion.2), (taken.1, taken.2), if(requeued > 0, (requeued, passed.2), (0, 0))]
            )))[1] AS first_end,
            arrayFirst(loss -> loss.1 > place, lost_at) AS loss,
            loss.1 > 0 AND (first_end.1 = 0 OR loss.1 < first_end.1) AS is_lost,
            if(is_lost, loss.1, first_end.1) AS out_place,
            if(is_lost OR first_end.1 = 0, NULL, toNullable(first_end.2)) AS left_ms,
            completion.1 > 0 AND completion.1 = out_place AS is_completed
        FROM parts
        LEFT JOIN completions USING (interaction_id)
        LEFT JOIN losses USING (interaction_id)
        LEFT JOIN of_legs USING (interaction_id, leg)
        LEFT JOIN joinings USING (interaction_id)
    )
SELECT
    * EXCEPT (own_ends, passings, holds, takings, queued_places, joining_steps, ends, own_legs, lost_at, taken, requeued, passed, first_end, loss),
    arrayFirst(step -> step.1 > place AND (if(step.4, step.3 = performer, step.3 != performer)), joining_steps) AS joined,
    -- While the last word is hold, the customer is on hold.
    arraySum(
        (step, next_ms) -> if(step.2 = 'hold', least(next_ms, ifNull(left_ms, 0)) - least(step.3, ifNull(left_ms, 0)), 0),
        holds,
        arraySlice(arrayPushBack(arrayMap(step -> step.3, holds), ifNull(left_ms, 0)), 2)
    ) AS held_ms,
    multiIf(
        via != 'consult', toNullable(0),
        joined.1 > 0 AND (left_ms IS NULL OR joined.2 <= left_ms), joined.2 - accepted_ms,
        left_ms - accepted_ms
    ) AS consulted_ms
FROM ended;

-- ----------------------------------------------------------------------------------------------------
-- Durations measured by the platform win over differences of times: those of the acceptance, of the end
-- of wrap-up, of the end of the contact, then of later whole records of legs, the last word of each.
CREATE TABLE measured ENGINE = Memory AS
WITH
    measuring AS
    (
        SELECT *
        FROM told
        WHERE kind = 'record' OR (kind IN ('accepted', 'wrapup_ended', 'completed')
            AND (talk_ms IS NOT NULL OR hold_ms IS NOT NULL OR wrap_ms IS NOT NULL OR wait_ms IS NOT NULL))
        -- Of records of one leg and performer the newest version is one, at its own place.
        QUALIFY kind != 'record' OR (record_version, place) = max((record_version, place)) OVER (PARTITION BY interaction_id, leg, performer, kind)
    )
SELECT
    m.interaction_id AS interaction_id, m.place AS place, m.kind AS kind, m.at_ms AS at_ms,
    any(m.leg) AS leg, any(m.talk_ms) AS talk_ms, any(m.hold_ms) AS hold_ms, any(m.wrap_ms) AS wrap_ms, any(m.wait_ms) AS wait_ms,
    -- Whom it is about: the performer it names, or who served last; an end is about those that it ends.
    argMaxIf(
        h.place,
        (
            m.kind = 'completed' AND h.out_place = m.place,
            m.performer != '' AND h.performer = m.performer,
            m.kind != 'completed' AND h.leg = m.leg,
            h.place
        ),
        h.place <= m.place AND multiIf(
            m.kind = 'accepted', h.place = m.place,
            m.kind = 'completed', h.out_place = m.place OR h.leg = m.leg,
            m.performer != '', h.performer = m.performer,
            true
        )
    ) AS stint_place
FROM measuring AS m
INNER JOIN humans_told AS h ON h.interaction_id = m.interaction_id
GROUP BY interaction_id, place, kind, at_ms;

CREATE TABLE measures ENGINE = Memory AS
SELECT
    interaction_id, stint_place,
    argMax(talk_ms, (kind = 'record', place)) AS talk_ms,
    argMax(hold_ms, (kind = 'record', place)) AS hold_ms,
    argMax(wrap_ms, (kind = 'record', place)) AS wrap_ms,
    argMaxIf(wait_ms, place, kind = 'completed') AS wait_ms,
    minIf(toNullable(at_ms), kind = 'record') AS recorded_ms
FROM measured
WHERE stint_place > 0
GROUP BY interaction_id, stint_place;

-- Waits by record: of the last stay on its leg.
CREATE TABLE recorded_waits ENGINE = Memory AS
SELECT interaction_id, stay_place, argMax(wait_ms, place) AS wait_ms
FROM
(
    SELECT m.interaction_id AS interaction_id, m.place AS place, any(m.wait_ms) AS wait_ms, max(s.place) AS stay_place
    FROM
    (
        SELECT *
        FROM told
        WHERE kind = 'record'
        QUALIFY (record_version, place) = max((record_version, place)) OVER (PARTITION BY interaction_id, leg, performer)
    ) AS m
    INNER JOIN stays_told AS s ON s.interaction_id = m.interaction_id AND s.leg = m.leg
    WHERE s.next_place > 0 AND m.wait_ms IS NOT NULL
    GROUP BY interaction_id, place
)
GROUP BY interaction_id, stay_place;
