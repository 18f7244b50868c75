-- Cases. An event of a case tells of its case_id, else of the case that is its interaction; any event that
-- names another case than its interaction makes the interaction a contact of it. To resolve what is
-- resolved, or to open what is open, changes nothing. A case is credited to whoever resolved it last.
CREATE TABLE case_parts ENGINE = Memory AS
SELECT
    case_ AS case_id, interaction_id,
    argMaxIf(customer_key, place, customer_key != '') AS customer_key,
    argMin(channel, place) AS channel, argMin(direction, place) AS direction, argMin(source, place) AS source,
    argMaxIf(queue, place, queue != '') AS queue,
    argMaxIf(intent, place, intent != '') AS intent,
    argMaxIf(kcr_task, place, kcr_task != '') AS kcr_task,
    argMaxIf(capability, place, capability != '') AS capability,
    argMaxIf(client, place, client != '') AS client,
    argMaxIf(vendor, place, vendor != '') AS vendor,
    argMaxIf(site, place, site != '') AS site,
    argMaxIf(location, place, location != '') AS location,
    argMaxIf(employment, place, employment != '') AS employment,
    argMaxIf(language, place, language != '') AS language,
    argMaxIf(flow, place, flow != '') AS flow,
    argMaxIf(team, place, team != '') AS team,
    minIf(toNullable(at_ms), names) AS named_ms,
    countIf(tells) > 0 AS has_steps,
    minIf(at_ms, names OR tells) AS first_ms
FROM
(
    SELECT
        *,
        kind IN ('case_opened', 'case_resolved', 'case_reopened') AS tells,
        if(case_id != '', case_id, interaction_id) AS case_,
        case_ != interaction_id AS names
    FROM known
    WHERE kind NOT IN ('performer_state', 'plan', 'tick') AND (tells OR (case_id != '' AND case_id != interaction_id))
)
GROUP BY case_, interaction_id;

CREATE TABLE cases ENGINE = Memory AS
WITH
    steps AS
    (
        SELECT
            if(case_id != '', case_id, interaction_id) AS case_, kind, at_ms, performer_kind, performer,
            row_number() OVER (PARTITION BY case_ ORDER BY at_ms, rank, event_id) AS number
        FROM known
        WHERE kind IN ('case_opened', 'case_resolved', 'case_reopened')
    ),
    turns AS
    (
        SELECT *
        FROM steps
        WHERE kind != 'case_opened'
        QUALIFY kind != lag(kind, 1, 'case_reopened') OVER (PARTITION BY case_ ORDER BY number)
    ),
    courses AS
    (
        SELECT
            case_,
            minIf(toNullable(at_ms), kind = 'case_resolved') AS first_resolved_ms,
            if(argMax(kind, number) = 'case_resolved', toNullable(max(at_ms)), NULL) AS resolved_ms,
            countIf(kind = 'case_resolved') AS resolutions,
            countIf(kind = 'case_reopened') AS reopens,
            argMaxIf((performer_kind, performer), number, kind = 'case_resolved') AS resolver
        FROM turns
        GROUP BY case_
    ),
    openings AS
    (
        SELECT case_, ifNull(minIf(toNullable(at_ms), kind = 'case_opened'), min(at_ms)) AS opened_ms, max(at_ms) AS last_ms
        FROM steps
        GROUP BY case_
    ),
    homes AS
    (
        SELECT
            case_id AS case_,
            argMinIf(
                (interaction_id, customer_key, channel, direction, queue, intent, kcr_task, capability, client, vendor, site, location, employment,
                    language, source, flow, team),
                (first_ms, interaction_id), has_steps
            ) AS home,
            count(named_ms) AS contacts,
            max(named_ms) AS last_named_ms
        FROM case_parts
        GROUP BY case_id
    )
SELECT
    home.1 AS interaction_id, home.2 AS customer_key, home.3 AS channel, home.4 AS direction, home.5 AS queue, home.6 AS intent,
    resolver.1 AS performer_kind, resolver.2 AS performer_id, '' AS model_version, home.7 AS kcr_task, home.8 AS capability,
    home.9 AS client, home.10 AS vendor, home.11 AS site, home.12 AS location, home.13 AS employment, home.14 AS language, home.15 AS source,
    home.16 AS flow, home.17 AS team,
    case_ AS case_id, opened_ms, first_resolved_ms, resolved_ms, toInt64(resolutions) AS resolutions, toInt64(reopens) AS reopens,
    toInt64(contacts) AS contacts, greatest(last_ms, ifNull(last_named_ms, 0)) AS told_ms
FROM openings
LEFT JOIN courses USING (case_)
INNER JOIN homes USING (case_);
