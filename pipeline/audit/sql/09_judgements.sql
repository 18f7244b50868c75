-- Evaluations and decisions of an AI. Several events may tell of one: it is of the session that had begun
-- at the first of them, else of the first session, and each field holds as it was told last.
CREATE TABLE judged ENGINE = Memory AS
WITH
    judging AS
    (
        SELECT
            *,
            multiIf(kind = 'evaluation', evaluation_id, decision_id) AS told_name,
            if(told_name = '', event_id, told_name) AS name
        FROM known
        WHERE kind IN ('evaluation', 'ai_decision')
    ),
    merged AS
    (
        SELECT
            interaction_id AS contact, kind, name,
            min(place) AS place,
            min(at_ms) AS first_ms,
            max(at_ms) AS told_ms,
            argMin((channel, direction, source), place) AS first_said,
            argMaxIf(customer_key, place, customer_key != '') AS customer_key,
            argMaxIf(queue, place, queue != '') AS queue,
            argMaxIf(intent, place, intent != '') AS intent,
            argMaxIf(performer_kind, place, performer_kind != '') AS performer_kind,
            argMaxIf(performer, place, performer != '') AS performer,
            argMaxIf(model_version, place, model_version != '') AS model_version,
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
            argMax(form, place) AS form, argMax(form_version, place) AS form_version,
            argMax(evaluator_kind, place) AS evaluator_kind, argMax(evaluator_id, place) AS evaluator_id,
            argMax(sample_type, place) AS sample_type,
            argMax(customer_errors, place) AS customer_errors, argMax(business_errors, place) AS business_errors,
            argMax(compliance_errors, place) AS compliance_errors,
            argMax(non_critical_millionths, place) AS non_critical_millionths,
            argMax(attributes, place) AS attributes, argMax(agreed_attributes, place) AS agreed_attributes,
            argMax(verdict, place) AS verdict, argMax(reference_verdict, place) AS reference_verdict,
            argMax(action, place) AS action, argMax(confidence_millionths, place) AS confidence_millionths,
            argMax(claims, place) AS claims, argMax(supported_claims, place) AS supported_claims,
            argMax(acted_on, place) AS acted_on, argMax(human_verdict, place) AS human_verdict,
            argMax(scanned, place) AS scanned, argMax(pii_leaked, place) AS pii_leaked, argMax(disclosed, place) AS disclosed
        FROM judging
        GROUP BY contact, kind, name
    ),
    homes AS
    (
        SELECT
            m.contact AS contact, m.kind AS kind, m.name AS name,
            argMaxIf(s.interaction_id, s.session, s.began_ms <= m.first_ms) AS begun,
            argMin(s.interaction_id, s.session) AS first_of_all
        FROM merged AS m
        INNER JOIN sessions_of AS s ON s.contact = m.contact
        GROUP BY contact, kind, name
    ),
    -- Whom it is about: the performer that it names, else who handled last; a decision of an AI, the last bot.
    placed AS
    (
        SELECT
            *,
            multiIf(begun != '', begun, first_of_all != '', first_of_all, contact) AS interaction_id
        FROM merged
        LEFT JOIN homes USING (contact, kind, name)
    ),
    credits AS
    (
        SELECT
            p.contact AS contact, p.kind AS kind, p.name AS name,
            argMaxIf(
                s.place, (if(p.performer = '', (s.left_ms IS NULL, ifNull(s.left_ms, 0)), (false, 0)), s.place),
                if(p.performer != '', s.performer = p.performer, s.handled AND (p.kind = 'evaluation' OR s.performer_kind = 'bot'))
            ) AS stint_place
        FROM placed AS p
        INNER JOIN stints AS s ON s.interaction_id = p.interaction_id
        GROUP BY contact, kind, name
    ),
    first_queues AS
    (
        SELECT interaction_id, argMin(queue, place) AS first_queue FROM stays GROUP BY interaction_id
    )
SELECT
    p.interaction_id AS interaction_id,
    if(known_, w.customer_key, p.customer_key) AS customer_key,
    if(known_, w.channel, first_said.1) AS channel,
    if(known_, w.direction, first_said.2) AS direction,
    multiIf(p.queue != '', p.queue, s.queue != '', s.queue, f.first_queue) AS queue,
    if(p.intent != '', p.intent, w.intent) AS intent,
    if(p.performer_kind != '', p.performer_kind, s.performer_kind) AS performer_kind,
    if(p.performer != '', p.performer, s.performer) AS performer_id,
    multiIf(p.model_version != '', p.model_version, t.model_version != '', t.model_version, s.own_version) AS model_version,
    if(p.kcr_task != '', p.kcr_task, w.kcr_task) AS kcr_task,
    if(p.capability != '', p.capability, w.capability) AS capability,
    if(p.client != '', p.client, w.client) AS client,
    multiIf(p.vendor != '', p.vendor, t.vendor != '', t.vendor, w.vendor) AS vendor,
    if(p.site != '', p.site, t.site) AS site,
    if(p.location != '', p.location, t.location) AS location,
    if(p.employment != '', p.employment, t.employment) AS employment,
    if(p.language != '', p.language, w.language) AS language,
    if(p.flow != '', p.flow, w.flow) AS flow,
    if(p.team != '', p.team, t.team) AS team,
    if(known_, w.source, first_said.3) AS source,
    w.interaction_id != '' AS known_,
    if(known_, ifNull(w.ended_ms, w.started_ms), first_ms) AS interaction_ms,
    p.kind AS kind, p.name AS name, p.place AS place, first_ms, told_ms,
    form, form_version, evaluator_kind, evaluator_id, sample_type, customer_errors, business_errors, compliance_errors, non_critical_millionths,
    attributes, agreed_attributes, verdict, reference_verdict, action, confidence_millionths, claims, supported_claims, acted_on, human_verdict,
    scanned, pii_leaked, disclosed
FROM placed AS p
LEFT JOIN whole AS w ON w.interaction_id = p.interaction_id
LEFT JOIN credits AS c ON c.contact = p.contact AND c.kind = p.kind AND c.name = p.name
LEFT JOIN stints AS s ON s.interaction_id = p.interaction_id AND s.place = c.stint_place
LEFT JOIN traits AS t ON t.interaction_id = p.interaction_id AND t.performer = s.performer
LEFT JOIN first_queues AS f ON f.interaction_id = p.interaction_id;

CREATE TABLE evaluations ENGINE = Memory AS
SELECT
    interaction_id, customer_key, channel, direction, queue, intent, performer_kind, performer_id, model_version, kcr_task, capability,
    client, vendor, site, location, employment, language, source, flow, team,
    name AS evaluation_id, ifNull(form, '') AS form, ifNull(form_version, '') AS form_version,
    ifNull(evaluator_kind, 'human') AS evaluator_kind, ifNull(evaluator_id, '') AS evaluator_id, ifNull(sample_type, '') AS sample_type,
    customer_errors, business_errors, compliance_errors, non_critical_millionths, attributes,
    -- A part never exceeds its whole, whatever a judge says; without one it is not known.
    if(attributes IS NULL OR agreed_attributes IS NULL, NULL, least(attributes, agreed_attributes)) AS agreed_attributes,
    ifNull(verdict, '') AS verdict, ifNull(reference_verdict, '') AS reference_verdict,
    first_ms AS evaluated_ms, told_ms, interaction_ms
FROM judged
WHERE kind = 'evaluation';

-- Decisions of a performer in an interaction are one session of it: the first opens it, one notice
-- discloses all of it. Who changed an output, or found a leak in it, has acted on it or scanned it.
CREATE TABLE ai_decisions ENGINE = Memory AS
SELECT
    interaction_id, customer_key, channel, direction, queue, intent, performer_kind, performer_id, model_version, kcr_task, capability,
    client, vendor, site, location, employment, language, source, flow, team,
    name AS decision_id, ifNull(action, '') AS action, confidence_millionths, claims,
    if(claims IS NULL OR supported_claims IS NULL, NULL, least(claims, supported_claims)) AS supported_claims,
    ifNull(acted_on, false) OR ifNull(human_verdict, '') != '' AS acted_on, ifNull(human_verdict, '') AS human_verdict,
    ifNull(verdict, '') AS verdict, ifNull(reference_verdict, '') AS reference_verdict,
    ifNull(scanned, false) OR ifNull(pii_leaked, false) AS scanned, ifNull(pii_leaked, false) AS pii_leaked,
    row_number() OVER (PARTITION BY interaction_id, performer_id ORDER BY place) = 1 AS opens_session,
    max(ifNull(judged.disclosed, false)) OVER (PARTITION BY interaction_id, performer_id) AS disclosed,
    first_ms AS decided_ms, told_ms
FROM judged
WHERE kind = 'ai_decision';
