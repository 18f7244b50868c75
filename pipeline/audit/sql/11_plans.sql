-- Plan items: what was told of each last, or nothing where that has no value, no beginning, or an end that
-- is not after it. The newest version of an item replaces it as a whole.
CREATE TABLE plan_words ENGINE = Memory AS
SELECT *
FROM known
WHERE kind = 'plan'
QUALIFY row_number() OVER (PARTITION BY interaction_id ORDER BY record_version DESC, place DESC) = 1;

CREATE TABLE plans ENGINE = Memory AS
SELECT
    '' AS interaction_id, '' AS customer_key, channel, direction, queue, intent, performer_kind, performer AS performer_id, model_version,
    kcr_task, capability, client, vendor, site, location, employment, language, source, flow, team,
    w.interaction_id AS plan_id, plan, activity, plan_version, owner,
    if(performer != '', concat(performer, ' ', kcr_task), '') AS subject,
    assumeNotNull(starts_ms) AS starts_ms, ends_ms, at_ms AS told_ms, assumeNotNull(value_micro) AS value_micro
FROM plan_words AS w
WHERE w.value_micro IS NOT NULL AND w.starts_ms IS NOT NULL AND plan != '' AND ifNull(w.ends_ms > w.starts_ms, true);

-- ----------------------------------------------------------------------------------------------------
-- Costs: work of complete stints at the rate in force when it began. Of several rates for an activity the
-- one that names most dimensions, then the latest to begin, then by id; who told of work, in which
-- direction, and the channel ``other`` choose nothing. Rounded to a millionth, halves up.
CREATE TABLE costs ENGINE = Memory AS
WITH
    work AS
    (
        SELECT
            *,
            ifNull(talk_ms, 0) + ifNull(hold_ms, 0) + ifNull(wrap_ms, 0) AS handle_ms,
            arrayJoin(if(
                performer_kind = 'bot',
                [
                    ('bot_minute', handle_ms, 60000), ('bot_session', 1, 1), ('bot_turn', turns, 1),
                    ('million_input_tokens', input_tokens, 1000000), ('million_output_tokens', output_tokens, 1000000)
                ],
                [('performer_minute', handle_ms, 60000)]
            )) AS done
        FROM handling_segments
        WHERE closed_ms IS NOT NULL
    ),
    rates AS
    (
        SELECT
            activity, plan_id, starts_ms, ends_ms, told_ms AS rate_told_ms, value_micro,
            arrayFilter(named -> named.2 != '', [
                ('channel', if(channel = 'other', '', channel)), ('queue', queue), ('intent', intent), ('performer_kind', performer_kind),
                ('performer_id', performer_id), ('model_version', model_version), ('kcr_task', kcr_task), ('capability', capability),
                ('client', client), ('vendor', vendor), ('site', site), ('location', location), ('employment', employment),
                ('language', language), ('flow', flow), ('team', team)
            ]) AS chooses
        FROM plans
        WHERE plan = 'rate'
    )
SELECT
    w.interaction_id AS interaction_id, customer_key, channel, direction, queue, intent, performer_kind, performer_id, model_version,
    kcr_task, capability, client, vendor, site, location, employment, language, source, flow, team,
    leg_id, done.1 AS activity, plan_id AS rate_id, accepted_ms, assumeNotNull(closed_ms) AS closed_ms,
    greatest(assumeNotNull(closed_ms), rate_told_ms) AS told_ms,
    toInt64(done.2) AS work, value_micro AS rate_micro,
    intDiv(2 * work * value_micro + done.3, 2 * done.3) AS cost_micro
FROM work AS w
INNER JOIN rates AS r ON r.activity = w.done.1
WHERE done.2 > 0 AND r.starts_ms <= w.accepted_ms AND ifNull(w.accepted_ms < r.ends_ms, true)
    AND arrayAll(named -> has([
        ('channel', channel), ('queue', queue), ('intent', intent), ('performer_kind', performer_kind), ('performer_id', performer_id),
        ('model_version', model_version), ('kcr_task', kcr_task), ('capability', capability), ('client', client), ('vendor', vendor),
        ('site', site), ('location', location), ('employment', employment), ('language', language), ('flow', flow), ('team', team)
    ], named), chooses)
QUALIFY row_number() OVER (PARTITION BY w.interaction_id, w.place, w.event_id, done.1 ORDER BY length(chooses) DESC, r.starts_ms DESC, plan_id DESC) = 1;
