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
    q.interaction_id AS interaction_id, w.customer_key AS customer_key, w.channel AS channel, w.direction AS direction,
    if(s.known AND s.queue != '', s.queue, w.entry_queue) AS queue, w.intent AS intent,
    k.kind.1 AS performer_kind, s.performer AS performer_id,
    if(t.model_version != '', t.model_version, k.kind.2) AS model_version,
    w.kcr_task AS kcr_task, w.capability AS capability, w.client AS client,
    if(t.vendor != '', t.vendor, w.vendor) AS vendor, t.site AS site, t.location AS location, t.employment AS employment,
    w.language AS language, w.source AS source, w.flow AS flow, t.team AS team,
    q.survey AS survey_id, s.credit AS credit, q.question AS question, q.scale AS scale, q.score AS score,
    q.sent_ms AS sent_ms, q.answered_ms AS answered_ms, ifNull(w.ended_ms, w.started_ms) AS interaction_ms
FROM questions AS q
INNER JOIN whole AS w ON w.interaction_id = q.interaction_id
INNER JOIN servers AS s ON s.interaction_id = q.interaction_id
LEFT JOIN kinds AS k ON k.interaction_id = s.interaction_id AND k.performer = s.performer
LEFT JOIN traits AS t ON t.interaction_id = s.interaction_id AND t.performer = s.performer;
