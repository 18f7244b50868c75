-- What performers say of themselves: states, by queue where they are told by queue. What is said of
-- whoever is logged in or not, as a pause and its end, is not heard of whoever is offline on that queue.
CREATE TABLE states ENGINE = Memory AS
WITH
    said AS
    (
        SELECT
            *,
            -- Of states of no queue those that are heard are known first: they are the last word on every queue.
            if(interaction_performer = '', interaction_id, interaction_performer) AS who
        FROM (SELECT *, performer AS interaction_performer FROM known WHERE kind = 'performer_state')
    ),
    ordered AS
    (
        SELECT *, row_number() OVER (PARTITION BY who ORDER BY at_ms, seq, rank, event_id) AS word
        FROM said
    ),
    -- A word that is always heard begins a group; after it what does not log in is heard until one is offline.
    general AS
    (
        SELECT *
        FROM
        (
            SELECT *, countIf(logs_in) OVER (PARTITION BY who ORDER BY word) AS group_
            FROM ordered
            WHERE queue = ''
        )
        QUALIFY logs_in OR countIf(state = 'offline') OVER (PARTITION BY who, group_ ORDER BY word ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) = 0
    ),
    queues AS
    (
        SELECT DISTINCT who, queue AS on_queue FROM ordered WHERE queue != ''
    ),
    particular AS
    (
        SELECT *
        FROM
        (
            SELECT *, countIf(logs_in OR queue = '') OVER (PARTITION BY who, on_queue ORDER BY word) AS group_
            FROM
            (
                SELECT *, queue AS on_queue FROM ordered WHERE queue != ''
                UNION ALL
                SELECT g.* EXCEPT (group_), on_queue FROM general AS g INNER JOIN queues USING (who)
            )
        )
        QUALIFY logs_in OR queue = ''
            OR countIf(state = 'offline') OVER (PARTITION BY who, on_queue, group_ ORDER BY word ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) = 0
    )
SELECT * EXCEPT (on_queue, group_) FROM particular WHERE queue != ''
UNION ALL
SELECT * EXCEPT (group_) FROM general;

CREATE TABLE performer_states ENGINE = Memory AS
WITH changes AS
(
    -- A state told again goes on.
    SELECT *
    FROM states
    QUALIFY (state, reason) != lag((state, reason), 1, ('', '')) OVER (PARTITION BY who, queue ORDER BY word)
)
SELECT
    '' AS interaction_id, '' AS customer_key, channel, 'inbound' AS direction, queue, '' AS intent,
    if(performer_kind = '', 'human', performer_kind) AS performer_kind, performer AS performer_id, model_version, kcr_task, capability, client,
    vendor, site, location, employment, language, source, flow, team,
    state, reason, at_ms AS entered_ms,
    lead(toNullable(at_ms)) OVER (PARTITION BY who, queue ORDER BY word) AS left_ms
FROM changes;

-- ----------------------------------------------------------------------------------------------------
-- The state of a performer over all queues, from each word on. A word on no queue replaces those on all of
-- them; of the queues named since, the one with most activity counts, told last.
CREATE TABLE moments ENGINE = Memory AS
WITH
    epochs AS
    (
        SELECT
            *,
            countIf(queue = '') OVER (PARTITION BY who ORDER BY word) AS epoch,
            indexOf(['busy', 'wrap', 'available', 'away', 'offline'], state) AS activity_rank
        FROM states
    ),
    lasting AS
    (
        SELECT *, lead(word, 1, 9223372036854775807) OVER (PARTITION BY who, epoch, queue ORDER BY word) AS replaced_word
        FROM epochs
    ),
    in_force AS
    (
        SELECT
            now.who AS who, now.word AS word, now.at_ms AS at_ms,
            argMin(heard.word, (heard.queue = '', heard.activity_rank, -heard.at_ms, heard.event_id)) AS heard_word
        FROM epochs AS now
        INNER JOIN lasting AS heard ON heard.who = now.who AND heard.epoch = now.epoch
        WHERE heard.word <= now.word AND now.word < heard.replaced_word
        GROUP BY who, word, at_ms
    ),
    told_moments AS
    (
        SELECT f.who AS who, f.at_ms AS at_ms, f.word AS word, s.state AS state, s.reason AS reason, f.heard_word AS heard_word
        FROM in_force AS f
        INNER JOIN states AS s ON s.who = f.who AND s.word = f.heard_word
    ),
    -- An end of a session that tells its length tells its beginning too, where nothing else did.
    logins AS
    (
        SELECT
            s.who AS who, s.word AS word,
            s.at_ms - any(s.session_ms) AS began_ms,
            maxIf(toNullable(m.at_ms), m.at_ms < s.at_ms AND m.word < s.word) AS before_ms,
            argMaxIf(m.state, m.word, m.at_ms < s.at_ms AND m.word < s.word) AS state_before
        FROM states AS s
        LEFT JOIN told_moments AS m ON m.who = s.who
        WHERE s.state = 'offline' AND s.session_ms > 0
        GROUP BY who, word, s.at_ms
    )
SELECT who, at_ms, word, false AS implied, state, reason, heard_word FROM told_moments
UNION ALL
SELECT who, greatest(began_ms, ifNull(before_ms, began_ms)), word, true, 'available', '', word
FROM logins
WHERE before_ms IS NULL OR state_before = 'offline';

-- ----------------------------------------------------------------------------------------------------
-- Work on contacts and schedules of live performers. Work whose end was never told ends with its contact.
CREATE TABLE performer_stints ENGINE = Memory AS
SELECT
    performer_id AS who, accepted_ms, event_id, h.interaction_id AS interaction_id, via != 'wrap_only' AS is_contact,
    if(unknown_end, toNullable(greatest(accepted_ms, ifNull(w.ended_ms, 0))), left_ms) AS stint_left_ms,
    if(unknown_end, stint_left_ms, h.closed_ms) AS stint_closed_ms,
    (h.interaction_id, h.customer_key, h.channel, h.direction, queue, h.intent, performer_kind, performer_id, model_version, h.kcr_task,
        h.capability, h.client, h.vendor, site, location, employment, h.language, h.source, h.flow, team) AS header
FROM handling_segments AS h
LEFT JOIN whole AS w ON w.interaction_id = h.interaction_id
WHERE performer_id != '' AND performer_kind != 'bot';

CREATE TABLE shifts ENGINE = Memory AS
SELECT
    performer AS who, if(activity = '', 'on_queue', activity) AS activity, assumeNotNull(starts_ms) AS starts_ms, assumeNotNull(ends_ms) AS ends_ms,
    ('', '', channel, 'inbound', queue, '', if(performer_kind = '', 'human', performer_kind), performer, model_version, kcr_task, capability,
        client, vendor, site, location, employment, language, source, flow, team) AS header
FROM
(
    SELECT *
    FROM known
    WHERE kind = 'plan' AND plan = 'schedule'
    QUALIFY row_number() OVER (PARTITION BY interaction_id ORDER BY place DESC) = 1
) AS p
WHERE performer != '' AND ifNull(value_micro, 0) != 0 AND p.starts_ms < p.ends_ms;

-- ----------------------------------------------------------------------------------------------------
-- A performer's time, cut wherever state, schedule or the number of contacts changes, as far as the clock
-- or the last thing that happened has come. Of schedule entries that overlap the one that began last
-- counts: a break lies within a shift. Stretches in which nothing changes are one.
CREATE TABLE boundaries ENGINE = Memory AS
WITH
    happened AS
    (
        SELECT who, at_ms FROM moments
        UNION DISTINCT SELECT who, accepted_ms FROM performer_stints
        UNION DISTINCT SELECT who, assumeNotNull(stint_left_ms) FROM performer_stints WHERE stint_left_ms IS NOT NULL
        UNION DISTINCT SELECT who, assumeNotNull(stint_closed_ms) FROM performer_stints WHERE stint_closed_ms IS NOT NULL
    ),
    horizons AS
    (
        SELECT who, greatest(max(at_ms), {as_of_ms:Int64}) AS horizon_ms FROM happened GROUP BY who
    ),
    planned AS
    (
        SELECT who, arrayJoin([starts_ms, ends_ms]) AS at_ms FROM shifts
    )
SELECT who, at_ms FROM happened
UNION DISTINCT
SELECT planned.who, planned.at_ms
FROM planned
LEFT JOIN horizons ON horizons.who = planned.who
WHERE planned.at_ms <= greatest(horizon_ms, {as_of_ms:Int64});

CREATE TABLE instants ENGINE = Memory AS
WITH
    numbered AS
    (
        SELECT who, at_ms, row_number() OVER (PARTITION BY who ORDER BY at_ms) AS number FROM boundaries
        UNION ALL
        -- What has no end is beyond the last boundary.
        SELECT who, 4611686018427387904, count() + 1 FROM boundaries GROUP BY who
    ),
    of_work AS
    (
        SELECT
            who, number, count() AS stints, countIf(is_contact AND number < left_number) AS contacts,
            argMax(header, (accepted_ms, header)) AS stint_header
        FROM
        (
            SELECT
                s.who AS who, accepted_ms, header, is_contact, l.number AS left_number,
                arrayJoin(range(a.number, greatest(z.number, a.number))) AS number
            FROM performer_stints AS s
            INNER JOIN numbered AS a ON a.who = s.who AND a.at_ms = s.accepted_ms
            INNER JOIN numbered AS l ON l.who = s.who AND l.at_ms = ifNull(s.stint_left_ms, 4611686018427387904)
            INNER JOIN numbered AS z ON z.who = s.who AND z.at_ms = ifNull(s.stint_closed_ms, 4611686018427387904)
        )
        GROUP BY who, number
    ),
    of_schedules AS
    (
        SELECT
            who, number, argMax((scheduled, header), (starts_ms, -ends_ms, scheduled, header)) AS shift
        FROM
        (
            SELECT n.who AS who, number, s.activity AS scheduled, header, starts_ms, ends_ms
            FROM numbered AS n
            INNER JOIN shifts AS s ON s.who = n.who
            WHERE s.starts_ms <= n.at_ms AND n.at_ms < s.ends_ms
        )
        GROUP BY who, number
    ),
    of_states AS
    (
        SELECT who, at_ms, argMax((state, reason, heard_word), (implied, word)) AS standing
        FROM moments
        GROUP BY who, at_ms
    )
SELECT
    n.who AS who, n.at_ms AS at_ms,
    m.who != '' AS has_moment, standing.1 AS state, standing.2 AS reason, standing.3 AS heard_word,
    w.stints > 0 AS handling, toInt64(w.contacts) AS contacts, stint_header,
    s.who != '' AS has_shift, shift.1 AS activity, shift.2 AS shift_header
FROM (SELECT * FROM numbered WHERE at_ms < 4611686018427387904) AS n
ASOF LEFT JOIN of_states AS m ON m.who = n.who AND n.at_ms >= m.at_ms
LEFT JOIN of_work AS w ON w.who = n.who AND w.number = n.number
LEFT JOIN of_schedules AS s ON s.who = n.who AND s.number = n.number;

-- Which states a scheduled activity asks for: what asks for none is not tracked. Who works on a contact is
-- there, though nothing was told; else no sign-in is none. Unpaid leave alone is not paid.
CREATE TABLE performer_times ENGINE = Memory AS
WITH
    told_instants AS
    (
        SELECT
            who, at_ms, state, if(has_moment, reason, '') AS reason, handling, contacts, activity,
            state NOT IN ('', 'offline') AS logged_in,
            multiIf(
                NOT has_shift, [],
                activity = 'on_queue', ['available', 'busy', 'wrap'],
                activity IN ('break', 'meal'), ['away', 'offline'],
                activity IN ('training', 'meeting', 'coaching', 'back_office'), ['away'],
                []
            ) AS wanted,
            notEmpty(wanted) AS tracked,
            has(wanted, multiIf(state != '', state, handling, 'busy', 'offline')) AS in_adherence,
            logged_in OR (has_shift AND activity != 'unpaid_leave') AS paid,
            logged_in OR handling OR has_shift AS exists,
            multiIf(
                NOT exists, 0,
                has_moment, 1,
                has_shift, 2,
                3
            ) AS told_by,
            if(told_by = 1, heard_word, 0) AS word,
            -- Where and for whom the performer is: by the state in force, else by schedule or contact.
            multiIf(told_by = 2, shift_header, told_by = 3, stint_header, stint_header) AS other_header
        FROM instants
    ),
    headed AS
    (
        SELECT
            i.*,
            if(
                told_by = 1,
                (s.channel, s.queue, if(s.performer_kind = '', 'human', s.performer_kind), s.performer, s.model_version, s.kcr_task, s.capability,
                    s.client, s.vendor, s.site, s.location, s.employment, s.language, s.source, s.flow, s.team),
                (other_header.3, other_header.5, other_header.7, other_header.8, other_header.9, other_header.10, other_header.11,
                    other_header.12, other_header.13, other_header.14, other_header.15, other_header.16, other_header.17, other_header.18, other_header.19,
                    other_header.20)
            ) AS header,
            (header, state, i.reason, logged_in, contacts, handling, activity, tracked, in_adherence, paid, exists) AS content
        FROM told_instants AS i
        LEFT JOIN (SELECT * EXCEPT (state, reason, activity, at_ms) FROM states) AS s ON s.who = i.who AND s.word = i.word
    ),
    changes AS
    (
        SELECT *
        FROM headed
        WINDOW in_order AS (PARTITION BY who ORDER BY at_ms)
        QUALIFY row_number() OVER in_order = 1 OR content != lag(content) OVER in_order
    ),
    stretches AS
    (
        SELECT *, lead(toNullable(at_ms)) OVER (PARTITION BY who ORDER BY at_ms) AS left_ms FROM changes
    )
SELECT
    '' AS interaction_id, '' AS customer_key, header.1 AS channel, 'inbound' AS direction, header.2 AS queue, '' AS intent,
    header.3 AS performer_kind, header.4 AS performer_id, header.5 AS model_version, header.6 AS kcr_task, header.7 AS capability,
    header.8 AS client, header.9 AS vendor, header.10 AS site, header.11 AS location, header.12 AS employment, header.13 AS language,
    header.14 AS source, header.15 AS flow, header.16 AS team,
    at_ms AS entered_ms, left_ms, state, reason, logged_in, contacts, handling, activity, tracked, in_adherence, paid
FROM stretches
WHERE exists;

-- ----------------------------------------------------------------------------------------------------
-- Sessions: each stint on a contact, and its part of the performer's time. Each instant is shared equally
-- by the contacts then open; milliseconds that do not divide go to those that are owed the largest
-- fraction, then by beginning and id. What does not touch can be shared apart.
CREATE TABLE session_clusters ENGINE = Memory AS
WITH
    stints AS
    (
        SELECT *, ifNull(stint_closed_ms, 4611686018427387904) AS until_ms, concat(interaction_id, '/handling/', event_id) AS name
        FROM performer_stints
        WHERE is_contact
    ),
    islands AS
    (
        SELECT *, max(until_ms) OVER (PARTITION BY who ORDER BY accepted_ms, name ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached_ms
        FROM stints
    ),
    numbered AS
    (
        SELECT *, countIf(accepted_ms >= reached_ms) OVER (PARTITION BY who ORDER BY accepted_ms, name) AS island
        FROM islands
    ),
    clusters AS
    (
        SELECT
            who, island,
            arraySort(groupArray((accepted_ms, name, until_ms))) AS members,
            arraySort(groupUniqArrayArray([accepted_ms, until_ms])) AS bounds
        FROM numbered
        GROUP BY who, island
    ),
    shared AS
    (
        SELECT
            *,
            -- Of each slice of time: who is there, and what each gets of it.
            arrayMap(
                (begin_ms, end_ms) -> (
                    arrayMap(m -> toInt64(m.1 <= begin_ms AND m.3 > begin_ms), members) AS here,
                    intDiv(end_ms - begin_ms, arraySum(here)),
                    modulo(end_ms - begin_ms, arraySum(here))
                ),
                arrayPopBack(bounds), arrayPopFront(bounds)
            ) AS slices
        FROM clusters
    )
SELECT
    who, island, members,
    arrayFold(
        (told, slice) -> arrayMap(
            owed -> arrayMap(
                given -> (
                    arrayMap((share, here, more) -> share + here * slice.2 + more, told.1, slice.1, given),
                    arrayMap((debt, more) -> debt - 1000000 * more, owed, given)
                ),
                [arrayMap(
                    i -> toInt64(has(arraySlice(arraySort(j -> (-owed[j], j), arrayFilter(j -> slice.1[j] = 1, arrayEnumerate(slice.1))), 1, slice.3), i)),
                    arrayEnumerate(slice.1)
                )]
            )[1],
            [arrayMap((debt, here) -> debt + here * intDiv(slice.3 * 1000000, arraySum(slice.1)), told.2, slice.1)]
        )[1],
        slices,
        (arrayMap(m -> toInt64(0), members), arrayMap(m -> toInt64(0), members))
    ).1 AS shares
FROM shared;

CREATE TABLE sessions ENGINE = Memory AS
SELECT
    header.1 AS interaction_id, header.2 AS customer_key, header.3 AS channel, header.4 AS direction, header.5 AS queue, header.6 AS intent,
    header.7 AS performer_kind, header.8 AS performer_id, header.9 AS model_version, header.10 AS kcr_task, header.11 AS capability,
    header.12 AS client, header.13 AS vendor, header.14 AS site, header.15 AS location, header.16 AS employment, header.17 AS language,
    header.18 AS source, header.19 AS flow, header.20 AS team,
    accepted_ms, stint_closed_ms AS closed_ms, stint_closed_ms - accepted_ms AS session_ms,
    if(stint_closed_ms IS NULL, NULL, toNullable(share)) AS pro_rata_ms
FROM (SELECT * FROM performer_stints WHERE is_contact) AS s
INNER JOIN
(
    SELECT who, member.2 AS name, member.3 AS until_ms, share
    FROM session_clusters
    ARRAY JOIN members AS member, shares AS share
) AS c ON c.who = s.who AND c.name = concat(s.interaction_id, '/handling/', s.event_id);
