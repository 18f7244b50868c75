-- What is said in a way that these files do not understand, by interaction, and with the count of events.
-- Each is a word whose subject is left to be guessed, or that contradicts what was said before.
CREATE TABLE not_understood ENGINE = Memory AS
WITH
    waits AS
    (
        SELECT interaction_id, groupArray((place, next_place, queue)) AS all_waits FROM stays_told GROUP BY interaction_id
    ),
    ends_of_waits AS
    (
        SELECT t.interaction_id AS interaction_id, t.kind AS kind, t.place AS place, t.queue AS queue, all_waits
        FROM told AS t
        INNER JOIN waits USING (interaction_id)
        WHERE kind IN ('left_queue', 'abandoned') OR (kind = 'accepted' AND via NOT IN ('direct', 'consult', 'conference'))
    )
SELECT 'a step of a performer without a name' AS what, interaction_id
FROM told
WHERE performer = '' AND (kind = 'accepted' OR (
    kind IN ('hold', 'resume', 'left', 'transfer', 'wrapup_started', 'wrapup_ended')
    AND interaction_id IN (SELECT interaction_id FROM told WHERE kind IN ('accepted', 'bot_started', 'bot_turn', 'handoff'))
))
UNION ALL
SELECT 'wrap-up that ends before it begins', interaction_id
FROM humans_told
WHERE wrap_ended_ms < wrap_started_ms
UNION ALL
SELECT 'wrap-up of a stint whose wrap-up is over', interaction_id
FROM
(
    SELECT *, countIf(kind = 'accepted') OVER (PARTITION BY interaction_id, performer ORDER BY place) AS stint
    FROM told
)
WHERE kind IN ('wrapup_started', 'wrapup_ended')
QUALIFY countIf(kind = 'wrapup_ended') OVER (
    PARTITION BY interaction_id, performer, stint ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
) > 0
UNION ALL
SELECT 'an acceptance by who serves already', h.interaction_id
FROM humans_told AS h
INNER JOIN humans_told AS again ON again.interaction_id = h.interaction_id AND again.performer = h.performer AND again.leg = h.leg
WHERE h.place < again.place AND (h.out_place = 0 OR h.out_place >= again.place)
UNION ALL
SELECT 'the end of a wait on another leg', interaction_id
FROM ends_of_waits
WHERE NOT arrayExists(wait -> wait.2 = place, all_waits)
    AND arrayExists(
        wait -> wait.1 < place AND (wait.2 = 0 OR wait.2 > place) AND (kind = 'accepted' OR queue IN ('', wait.3)),
        all_waits
    )
UNION ALL
SELECT 'a record that comes before what it is of', m.interaction_id
FROM told AS m
INNER JOIN humans_told AS h ON h.interaction_id = m.interaction_id
WHERE m.kind = 'record' AND m.place < h.place AND (m.performer = h.performer OR (m.performer = '' AND m.leg = h.leg))
UNION ALL
SELECT 'a bot that begins after the end', interaction_id
FROM
(
    SELECT b.interaction_id AS interaction_id
    FROM bot_parts AS b
    INNER JOIN
    (
        SELECT interaction_id, place, true AS ends FROM ends_told
        UNION ALL
        SELECT interaction_id, place, false FROM told WHERE kind IN ('queued', 'accepted')
    ) AS c ON c.interaction_id = b.interaction_id
    -- And that nothing but silence or a restart ends: places of restarts are odd.
    WHERE NOT over OR modulo(over_place, 2) = 1
    GROUP BY b.interaction_id, b.session, b.place
    HAVING argMaxIf(c.ends, c.place, c.place < b.place)
)
UNION ALL
-- The correction took the place of the event that was counted.
SELECT 'a correction that came too late', l.interaction_id
FROM {source:Identifier}.late_records AS l FINAL
INNER JOIN
(
    SELECT interaction_id, one.1 AS event_id, one.2 AS content_hash
    FROM {source:Identifier}.frozen_interactions
    ARRAY JOIN arrayZip(event_ids, content_hashes) AS one
) AS f ON f.interaction_id = l.interaction_id AND f.event_id = l.event_id
WHERE l.content_hash != f.content_hash
UNION ALL
SELECT 'a customer whom a link between identities speaks of', interaction_id
FROM interactions
WHERE customer_key != '' AND customer_key IN (
    SELECT arrayJoin([customer_key, account_key]) FROM known WHERE kind = 'identity_linked'
    UNION ALL
    SELECT customer_key FROM spans WHERE contact IN (SELECT interaction_id FROM known WHERE kind = 'identity_linked')
)
UNION ALL
SELECT 'a bot that accepts or leaves', interaction_id
FROM told
WHERE kind IN ('accepted', 'left') AND performer_kind = 'bot';

CREATE TABLE not_covered ENGINE = Memory AS
SELECT what, count() AS events
FROM not_understood
GROUP BY what;
