-- What is known: accepted events as of the clock, and what each says of the course of its interaction.
--
-- Each statement of these files makes one table from the ones before, in a database of its own, so that
-- whoever looks for the reason of a difference can read what lies between. Tables that bear the name and
-- columns of a view of facts are what KPIs are asked of. Nothing here was generated from the folds or
-- shares a line with them.
--
-- {source}, {events}, {restarts}  database and tables of accepted events and of restarts of platforms;
--   events that came too late are in its view uncounted_events
-- {as_of_ms}  the clock: events that occurred later are not known
-- It runs with prefer_column_name_to_alias = 1, as standard SQL reads names.
--
-- Times are UTC epoch milliseconds, durations milliseconds. What is said in a way that these files do not
-- understand is counted in the table not_covered, which is the first to look at.

-- ----------------------------------------------------------------------------------------------------
-- Events in order: time, then the source's own sequence, then by convention the order in which a contact
-- comes in, meets a bot, waits, is served, is passed on, ends. ``place`` numbers those of an
-- interaction by twos: the odd places between them are for what is no event.
CREATE TABLE known ENGINE = Memory AS
WITH [
    'started', 'bot_started', 'authenticated', 'info_repeated', 'bot_turn', 'handoff', 'bot_ended', 'queued',
    'ringing', 'declined', 'left_queue', 'accepted', 'consult', 'hold', 'resume', 'transfer', 'left',
    'abandoned', 'completed', 'wrapup_started', 'wrapup_ended', 'record', 'survey_sent', 'survey_answered',
    'performer_state', 'evaluation', 'ai_decision', 'identity_linked', 'case_opened', 'case_resolved',
    'case_reopened', 'plan', 'tick'
] AS kinds
SELECT
    *,
    2 * row_number() OVER (PARTITION BY interaction_id ORDER BY at_ms, seq, rank, event_id) AS place
FROM
(
    SELECT
        event_id, interaction_id, record_version,
        toUnixTimestamp64Milli(occurred_at) AS at_ms,
        ifNull(source_seq, 0) AS seq,
        indexOf(kinds, kind) AS rank,
        toString(kind) AS kind,
        toString(source) AS source,
        toString(channel) AS channel,
        toString(direction) AS direction,
        ifNull(toString(queue), '') AS queue,
        -- The first leg of a contact has no name, or that of the contact.
        if(ifNull(leg_id, '') = interaction_id, '', ifNull(leg_id, '')) AS leg,
        ifNull(leg_id, '') != '' AS leg_told,
        ifNull(previous_leg_id, '') AS previous_leg,
        ifNull(customer_key, '') AS customer_key, ifNull(account_key, '') AS account_key,
        ifNull(toString(intent), '') AS intent,
        ifNull(toString(kcr_task), '') AS kcr_task,
        ifNull(toString(capability), '') AS capability,
        ifNull(toString(client), '') AS client,
        ifNull(toString(vendor), '') AS vendor,
        ifNull(toString(language), '') AS language,
        ifNull(toString(performer_id), '') AS performer,
        ifNull(toString(performer_kind), '') AS performer_kind,
        ifNull(toString(model_version), '') AS model_version,
        ifNull(toString(site), '') AS site,
        ifNull(toString(location), '') AS location,
        ifNull(toString(employment), '') AS employment,
        ifNull(toString(flow), '') AS flow,
        ifNull(toString(team), '') AS team,
        ifNull(toString(via), '') AS via,
        ifNull(toString(reason), '') AS reason,
        ifNull(toString(transfer_kind), '') AS transfer_kind,
        ifNull(toString(outcome), '') AS outcome,
        ifNull(toString(ended_by), '') AS ended_by,
        resolved, user_turn, no_match, no_input, context_ok,
        ifNull(input_tokens, 0) AS input_tokens, ifNull(output_tokens, 0) AS output_tokens,
        toInt64(round(confidence * 1000000)) AS confidence_micro,
        wait_ms, talk_ms, hold_ms, wrap_ms, reply_ms,
        toUnixTimestamp64Milli(due_at) AS due_ms,
        ifNull(survey_id, '') AS survey, ifNull(toString(question), '') AS question, scale, score,
        ifNull(case_id, '') AS case_id,
        ifNull(toString(state), '') AS state, ifNull(logs_in, true) AS logs_in, session_ms,
        ifNull(toString(plan), '') AS plan, ifNull(toString(activity), '') AS activity,
        ifNull(toString(plan_version), '') AS plan_version, ifNull(toString(owner), '') AS owner,
        toUnixTimestamp64Milli(starts_at) AS starts_ms, toUnixTimestamp64Milli(ends_at) AS ends_ms,
        toInt64(round(value * 1000000)) AS value_micro,
        ifNull(evaluation_id, '') AS evaluation_id, ifNull(decision_id, '') AS decision_id,
        toString(form) AS form, toString(form_version) AS form_version,
        toString(evaluator_kind) AS evaluator_kind, toString(evaluator_id) AS evaluator_id,
        toString(sample_type) AS sample_type, customer_errors, business_errors, compliance_errors,
        toInt64(round(non_critical_score * 1000000)) AS non_critical_millionths, attributes, agreed_attributes,
        toString(verdict) AS verdict, toString(reference_verdict) AS reference_verdict,
        toString(action) AS action, toInt64(round(confidence * 1000000)) AS confidence_millionths,
        claims, supported_claims, acted_on, toString(human_verdict) AS human_verdict, scanned, pii_leaked, disclosed
    FROM {source:Identifier}.{events:Identifier} FINAL
    WHERE occurred_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
        -- Late records are in neither side.
        AND event_id NOT IN (SELECT event_id FROM {source:Identifier}.uncounted_events)
);

-- ----------------------------------------------------------------------------------------------------
-- The course of an interaction: what happens in it, without what judges it, its cases, links and plans.
--
-- Some platforms never end a conversation. A new start that follows a long silence begins another session
-- under the same id: an interaction of its own, named after its id and its beginning. The silence is an
-- hour where only a bot has served so far; else 24 hours, on channels that are neither voice nor messaging
-- 7 days. What says something about a contact and never is one (a survey, a record) is no sign of life.
CREATE TABLE told ENGINE = Memory AS
WITH
    course AS
    (
        SELECT
            * EXCEPT (performer_kind),
            if(performer_kind = '', 'human', performer_kind) AS performer_kind,
            kind NOT IN ('survey_sent', 'survey_answered', 'record') AS acts,
            kind = 'bot_started' OR (kind = 'bot_turn' AND ifNull(user_turn = false, false)) AS greets,
            multiIf(
                channel IN ('voice', 'web_chat', 'wechat', 'whatsapp', 'facebook', 'instagram', 'line', 'sms'), 86400000,
                604800000
            ) AS calm_ms
        FROM known
        WHERE kind NOT IN ('performer_state', 'plan', 'tick', 'evaluation', 'ai_decision', 'case_opened', 'case_resolved', 'case_reopened', 'identity_linked')
    ),
    silences AS
    (
        SELECT
            *,
            kind IN ('started', 'bot_started') AND previous_leg = '' AND count() OVER earlier > 0 AS may_begin,
            at_ms - maxIf(at_ms, acts) OVER earlier AS silent_ms,
            maxIf(place, kind IN ('accepted', 'queued')) OVER earlier AS served_place
        FROM course
        WINDOW earlier AS (PARTITION BY interaction_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    beginnings AS
    (
        SELECT
            *,
            maxIf(place, may_begin AND silent_ms >= calm_ms) OVER earlier AS begun_place,
            may_begin AND (silent_ms >= calm_ms OR (
                -- Nobody but a bot since the session began.
                kind = 'bot_started' AND silent_ms >= 3600000 AND (served_place = 0 OR begun_place > served_place)
            )) AS begins
        FROM silences
        WINDOW earlier AS (PARTITION BY interaction_id ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ),
    numbered AS
    (
        SELECT *, sum(begins) OVER so_far AS session, maxIf(at_ms, begins) OVER so_far AS session_ms_
        FROM beginnings
        WINDOW so_far AS (PARTITION BY interaction_id ORDER BY place)
    )
SELECT
    * EXCEPT (interaction_id, may_begin, silent_ms, served_place, begun_place, begins, session_ms_),
    interaction_id AS contact,
    if(session = 0, interaction_id, concat(interaction_id, '@', toString(session_ms_))) AS interaction_id
FROM numbered;

-- Each session with its beginning, for what is said of it from outside.
CREATE TABLE sessions_of ENGINE = Memory AS
SELECT contact, interaction_id, any(session) AS session, min(at_ms) AS began_ms
FROM told
GROUP BY contact, interaction_id;

-- ----------------------------------------------------------------------------------------------------
-- Moments at which a platform began anew and lost its open contacts: before each the last sign of life.
-- A restart counts for contacts that had begun; of those that come after the last event, the first.
CREATE TABLE lost ENGINE = Memory AS
WITH
    spans AS
    (
        SELECT interaction_id, argMin(source, place) AS source, min(at_ms) AS first_ms, max(at_ms) AS last_ms
        FROM told
        GROUP BY interaction_id
    ),
    hits AS
    (
        SELECT
            interaction_id, lost_ms,
            row_number() OVER (PARTITION BY interaction_id, lost_ms >= last_ms ORDER BY lost_ms) AS number, lost_ms >= last_ms AS after_all
        FROM spans
        INNER JOIN
        (
            SELECT toString(source) AS source, toUnixTimestamp64Milli(restarted_at) AS lost_ms
            FROM {source:Identifier}.{restarts:Identifier} FINAL
            WHERE restarted_at <= fromUnixTimestamp64Milli({as_of_ms:Int64}, 'UTC')
        ) AS restarts USING (source)
        WHERE lost_ms >= first_ms
    )
SELECT
    h.interaction_id AS interaction_id, lost_ms,
    -- Behind the last event that is not after it.
    max(t.place) + 1 AS place,
    maxIf(t.at_ms, acts) AS sign_ms
FROM hits AS h
INNER JOIN told AS t ON t.interaction_id = h.interaction_id
WHERE (NOT after_all OR number = 1) AND t.at_ms <= lost_ms
GROUP BY interaction_id, lost_ms;
