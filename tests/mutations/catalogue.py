"""What is promised, broken on purpose: one change of one file each, and the test that must see it.

Promises are numbered as in ``docs/exactness.md``, rules by what they keep.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    """A change of the code that breaks a promise.

    Attributes:
        promise: What is broken, in the table.
        name: How.
        file: Where, below the root.
        edits: Texts that stand there once each, and what they become.
        test: The test that passes without the change and fails with it.
        slow: It needs a real Kafka or ClickHouse.
    """

    promise: str
    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    test: str
    slow: bool = False


CHECKPOINT, STAGE = "pipeline/microbatch/checkpoint.py", "pipeline/microbatch/stage.py"
TAKEOVER = "pipeline/microbatch/takeover.py"
LIFECYCLE, LEDGER = "pipeline/stages/lifecycle.py", "pipeline/kpi/ledger.py"
INTAKE, ADMISSION = "pipeline/stages/intake.py", "pipeline/stages/admission.py"

STEPS = "tests/unit/microbatch/test_checkpoint.py::"
CRASH = "tests/counterexamples/test_crash_and_replay.py::"
ORDER = "tests/counterexamples/test_order_and_keys.py::"
PANES = "tests/counterexamples/test_panes_and_gauges.py::"
SUMS = "tests/counterexamples/test_arithmetic.py::"
SHOWN = "tests/counterexamples/test_promises.py::"
TAKEN = "tests/unit/stages/test_intake.py::"
EXAMPLE = (
    "tests/docs/test_microbatch.py::test_the_example_counts_once_though_it_dies_in_its_checkpoint"
)
LAYER = "tests/integration/test_microbatch_faults.py::"

_COMMIT = """\
        await self._send_changes(producer)  # 2
        failpoints.hit(f"{name}.after_state")
        await producer.commit(self.stage.group, offsets)  # 3
"""
_COMMIT_FIRST = """\
        await producer.commit(self.stage.group, offsets)  # 3
        await producer.begin()
        await self._send_changes(producer)  # 2
        failpoints.hit(f"{name}.after_state")
        await producer.commit(self.stage.group, {})
"""
_STAMPED = """\
        await producer.commit(self.stage.group, offsets)  # 3
        failpoints.hit(f"{name}.after_commit")
"""
_NOT_STAMPED = """\
        await producer.commit(self.stage.group, {})  # 3
        failpoints.hit(f"{name}.after_commit")
        if offsets:
            await self.stage.commit_offset(self.partition, self.batch.next_offset)
"""
_SUBMIT = """\
        if exc is None:
            self.stage.submit(self)
        elif isinstance(exc, Exception):
"""
_ALWAYS_SUBMIT = """\
        self.stage.submit(self)
        if isinstance(exc, Exception):
"""
_DUE_IN_ORDER = """\
        while self._heap and self._heap[0][0] <= clock_ms:
            place_ms, key = heappop(self._heap)
            due_ms = self._due.get(key)
            if due_ms is None:
                continue
            if due_ms > place_ms:
                heappush(self._heap, (due_ms, key))
            else:
                del self._due[key]
                found.append(key)
        return found
"""
_DUE_AS_SET = """\
        found += [key for key, due_ms in self._due.items() if due_ms <= clock_ms]
        for key in found:
            del self._due[key]
        return found
"""

MUTATIONS = (
    # --- nothing is lost: R4, R5 ------------------------------------------------------------------
    Mutation("1 nothing lost", "offset before state", CHECKPOINT, ((_COMMIT, _COMMIT_FIRST),),
        STEPS + "test_outputs_then_state_then_the_offset_then_memory_then_what_is_shown"),
    Mutation("1 nothing lost", "offset before state, killed between them", CHECKPOINT,
        ((_COMMIT, _COMMIT_FIRST),), EXAMPLE + "[after_state]", slow=True),
    Mutation("1 nothing lost", "offset before state, without transactions", CHECKPOINT,
        (("                await self._send_changes(producer)  # 2\n                if moved:\n"
          "                    await stage.commit_offset(partition, self.batch.next_offset)  # 3\n",
          "                if moved:\n"
          "                    await stage.commit_offset(partition, self.batch.next_offset)  # 3\n"
          "                await self._send_changes(producer)  # 2\n"),),
        STEPS + "test_the_same_order_where_there_are_no_transactions"),
    Mutation("1 nothing lost", "ack in finally", CHECKPOINT, ((_SUBMIT, _ALWAYS_SUBMIT),),
        STEPS + "test_an_agent_that_raises_commits_nothing_and_ends_the_process"),
    Mutation("1 nothing lost", "ack in finally, real workers", CHECKPOINT,
        ((_SUBMIT, _ALWAYS_SUBMIT),),
        LAYER + "test_an_agent_that_fails_commits_nothing_past_the_failure", slow=True),
    Mutation("1 nothing lost", "rows after the offset", CHECKPOINT,
        (("        for write in self.outside:  # 0\n            await write()\n", ""),
         ("        self.partition.next_offset = self.batch.next_offset\n",
          "        self.partition.next_offset = self.batch.next_offset\n"
          "        for write in self.outside:  # 0\n            await write()\n")),
        STEPS + "test_what_is_written_elsewhere_and_fails_lets_no_offset_pass"),
    Mutation("1 nothing lost", "a refused record leaves no trace", INTAKE,
        (("            send_dead_letter(record, bad.reason, bad.detail, out)\n", ""),),
        TAKEN + "test_what_cannot_be_taken_in_is_a_dead_letter_with_its_own_bytes"),
    Mutation("1 nothing lost", "a dead letter without its bytes", INTAKE,
        (("        body if len(body) <= MAX_RECORD_BYTES else body[:HEAD_BYTES],\n",
          '        b"",\n'),),
        TAKEN + "test_what_cannot_be_taken_in_is_a_dead_letter_with_its_own_bytes"),
    Mutation("1 nothing lost", "a producer that may leave holes", "pipeline/microbatch/producer.py",
        (("enable_idempotence=True", "enable_idempotence=False"),),
        STEPS + "test_a_producer_is_idempotent_and_waits_for_all_replicas"),
    Mutation("1 nothing lost", "ClickHouse tells of too many parts, and rows are given up",
        "sinks/clickhouse/writer.py",
        (("retry=retry_if_exception_type(SinkUnavailable)",
          "retry=retry_if_exception_type(KeyError)"),),
        "tests/contract/test_clickhouse_writer.py"
        "::test_too_many_parts_is_retried_until_the_server_takes_the_rows", slow=True),
    # --- once: R4, R5, fencing --------------------------------------------------------------------
    Mutation("2 R4", "no stamp: the offset is not in the transaction", CHECKPOINT,
        ((_STAMPED, _NOT_STAMPED),),
        STEPS + "test_outputs_then_state_then_the_offset_then_memory_then_what_is_shown"),
    Mutation("2 R4", "no stamp, killed behind the transaction", CHECKPOINT,
        ((_STAMPED, _NOT_STAMPED),), EXAMPLE + "[after_commit]", slow=True),
    Mutation("2 R4", "no fence", TAKEOVER,
        (('f"{stage.group}.{stage.name}.{tp.topic}.{tp.partition}"',
          'f"{stage.group}.{stage.name}.{tp.topic}.{tp.partition}.{time.time_ns()}"'),),
        LAYER + "test_a_worker_frozen_in_a_checkpoint_is_fenced_when_it_wakes", slow=True),
    Mutation("2 R4", "the position is read before the fence is up", TAKEOVER,
        (("        if stage.writes:\n            await self._fence(partition)\n"
          "        committed = await app.batch_consumer.committed(tp)\n",
          "        committed = await app.batch_consumer.committed(tp)\n"
          "        if stage.writes:\n            await self._fence(partition)\n"),),
        STEPS + "test_whoever_held_the_partition_is_fenced_before_anything_is_read"),
    Mutation("2 R4", "a restore reads what was aborted", "pipeline/microbatch/restore.py",
        (('"read_committed" if broker.transactional else "read_uncommitted"',
          '"read_uncommitted"'),),
        "tests/contract/test_fencing.py"
        "::test_what_one_partition_refuses_lets_nothing_of_the_checkpoint_be_seen", slow=True),
    Mutation("2 R5", "memory ahead of the log", CHECKPOINT,
        (('            failpoints.hit(f"{name}.before_outputs")\n',
          "            self.partition.store.apply(self.overlay, None)\n"
          '            failpoints.hit(f"{name}.before_outputs")\n'),),
        STEPS + "test_outputs_then_state_then_the_offset_then_memory_then_what_is_shown"),
    Mutation("2 R5", "a refused checkpoint goes on with its memory", STAGE,
        (("            await self._reset(partition, error)\n",
          "            partition.status = Status.IDLE\n"),),
        STEPS + "test_a_refused_checkpoint_leaves_nothing_in_memory_and_its_records_come_again"),
    Mutation("2 R5", "what was fetched before a seek is processed", STAGE,
        (("records = [r for r in records if r.offset >= partition.next_offset]",
          "records = list(records)"),),
        STEPS + "test_records_of_before_a_seek_are_not_processed"),
    Mutation("2 R5", "a lost partition merges what was acknowledged", CHECKPOINT,
        (("        if partition.dropped:\n            return\n        self.partition.store.apply(",
          "        self.partition.store.apply("),),
        STEPS + "test_an_acknowledgement_for_a_partition_lost_meanwhile_changes_no_memory"),
    # --- the same whatever the order: R2, R3, R7 --------------------------------------------------
    Mutation("2 R2", "a fold in order of arrival", "pipeline/folds/interaction.py",
        (("ordered = sorted(events, key=_order_of)", "ordered = list(events)"),),
        "tests/properties/test_fold.py::test_every_order_gives_the_same_rows"),
    Mutation("2 R2", "what is told twice counts twice", ADMISSION,
        (("place = by_id.get(event.event_id)", "place = None"),),
        ORDER + "test_12_what_is_told_twice_counts_once"),
    Mutation("2 R2", "the content that came last wins", ADMISSION,
        (("if newer > (known.record_version, known.content_hash):",
          "if event.record_version >= known.record_version:"),),
        ORDER + "test_12_of_two_contents_under_one_id_and_version_the_greater_hash_wins"),
    Mutation("2 R2", "a row that is told no longer stays", LEDGER,
        (("        if fact_id not in new:\n", "        if fact_id not in ledger:\n"),),
        ORDER + "test_13_a_late_message_joins_two_sessions_and_the_second_is_gone"),
    Mutation("2 R3", "versions from positions", LIFECYCLE,
        (("        distinct = _distinct(state)\n        if key[:1]",
          "        distinct = self._at = getattr(self, '_at', 0) + 1\n        if key[:1]"),),
        CRASH + "test_10_a_log_made_anew_takes_nothing_back_that_tables_hold"),
    Mutation("2 R3", "versions count timers that fired", LIFECYCLE,
        (("state.dues = folded.passed", "state.dues += folded.passed > 0"),),
        CRASH + "test_10_what_time_changes_after_a_log_was_made_anew_is_stored"),
    Mutation("2 R3", "versions count how often a schedule was passed",
        "pipeline/stages/performers.py",
        (("state.dues = tail.passed + folded.passed", "state.dues += folded.passed > 0"),),
        CRASH + "test_10_so_is_what_a_schedule_changes"),
    Mutation("2 R2", "what is told at the cut of a history leaves what lies before",
        "pipeline/stages/performer_tail.py",
        (("touched_ms > self.cut_ms", "touched_ms >= self.cut_ms"),),
        "tests/properties/test_tails.py::test_what_may_not_be_told_of_the_tail_alone"),
    Mutation("2 R2", "what lies before the cut of a history is folded no more",
        "pipeline/stages/performer_tail.py", (("touched_ms > self.cut_ms and", "True and"),),
        "tests/properties/test_tails.py::test_what_may_not_be_told_of_the_tail_alone"),
    Mutation("2 R3", "a log that is made anew is like the old one",
        "pipeline/stages/performers.py",
        (("state.generation = max(state.generation, generation_of(message.version))",
          "state.generation = 0"),),
        CRASH + "test_10_the_last_word_of_a_log_made_anew_holds"),
    Mutation("2 R3", "the last row of a batch is stored, not the newest",
        "sinks/clickhouse/agent.py", (("_version(record) >= _version(known)", "True"),),
        "tests/unit/test_clickhouse_agent.py"
        "::test_the_highest_version_of_a_fact_is_stored_wherever_it_lies"),
    Mutation("2 R3", "a table sorted by what a correction changes",
        "sinks/clickhouse/migrations/0003_kpi_values.sql",
        (("ORDER BY (exhibit, ", "ORDER BY (revision, exhibit, "),),
        "tests/contract/test_clickhouse_schema.py"
        "::test_nothing_is_sorted_partitioned_or_expired_by_what_a_correction_can_change",
        slow=True),
    Mutation("2 R7", "timers fire in the order in which they were set", "pipeline/stages/timers.py",
        ((_DUE_IN_ORDER, _DUE_AS_SET),),
        CRASH + "test_4_timers_fire_by_moment_and_key_whatever_was_set_first"),
    Mutation("2 R7", "a timeout is final", LIFECYCLE,
        (("admit(state.events, state.seen, events)",
          "admit(state.events, state.seen, () if state.dues else events)"),),
        ORDER + "test_17_an_event_that_disproves_a_timeout_takes_it_back"),
    Mutation("2 R7", "times of events move the clock", LIFECYCLE,
        (("        read = Read(self._publisher.floor_ms, event)\n",
          "        self.tick(Tick('', 0, event.occurred_ms))\n"
          "        read = Read(self._publisher.floor_ms, event)\n"),),
        ORDER + "test_17_the_time_of_an_event_moves_no_clock"),
    Mutation("2 R7", "a wall clock", "pipeline/stages/timers.py",
        (("        found = []\n",
          "        import time\n\n        clock_ms = max(clock_ms, time.time_ns() // 1_000_000)\n"
          "        found = []\n"),),
        "tests/unit/test_no_wall_clock.py::test_no_wall_clock_where_numbers_are_made"),
    Mutation("2 R7", "a stage with state reads two logs", STAGE,
        (("if changelog is not None and len(topics) != 1:", "if not topics:"),),
        CRASH + "test_5_a_stage_with_state_reads_one_log"),
    # --- corrections: R6, R8, R9, R11 -------------------------------------------------------------
    Mutation("4 R6", "a pane is taken back by recomputation", LEDGER,
        (("before = old.contributions if old is not None else ()",
          "before = plan.contributions(old.kind, row.fact, as_of_ms, span_ms) if old else ()"),),
        CRASH + "test_11_what_another_version_added_is_taken_back_as_it_was_added"),
    Mutation("4 R6", "after a restore only what changes is published",
        "pipeline/stages/folding.py",
        (("publisher.panes.all_dirty()", "publisher.panes._dirty.clear()"),),
        ORDER + "test_15_a_survey_of_day_20_and_a_day_told_again_find_what_they_belong_to[True]"),
    Mutation("4 R8", "what is frozen begins anew", "pipeline/stages/ages.py",
        ((" else event.occurred_ms) < floor_ms\n", " else event.occurred_ms) < 0 * floor_ms\n"),),
        ORDER + "test_15_what_is_frozen_and_told_again_is_a_late_record"),
    Mutation("4 R9", "a share of a pane that is gone", "pipeline/kpi/panes.py",
        (("if time_ms >= self.floor_ms or place.lasts:", "if time_ms >= 0 or place.lasts:"),),
        PANES + "test_20_no_share_of_a_pane_that_is_gone_is_published"),
    Mutation("4 R9", "nobody is told what must be computed again",
        "pipeline/stages/publisher.py", (("        self._tell_missed(out)\n", ""),),
        SHOWN + "test_a_correction_of_a_bucket_that_is_held_no_longer_is_told"),
    Mutation("4 R11", "a contact that moved is not withdrawn", "pipeline/stages/travelling.py",
        (("            send(old.key, name, None)\n", "            continue\n"),),
        ORDER + "test_14_a_contact_whose_customer_is_corrected_leaves_no_ghost[1]"),
    Mutation("4 R11", "a link is for ever", "pipeline/folds/links.py",
        (("newest is not None and newest.linked else None", "newest is not None else None"),),
        "tests/unit/folds/test_links.py"
        "::test_the_latest_telling_of_a_pair_holds_whatever_comes_last"),
    Mutation("4 restated", "a corrected final value stays final", "pipeline/kpi/values.py",
        (('if settled_ms is not None and row.state == "final":', "if settled_ms == 0:"),),
        SHOWN + "test_a_bucket_that_was_final_and_is_corrected_is_restated"),
    # --- merge, gauges, arithmetic: R1, R10, R12, R13, R14 ----------------------------------------
    Mutation("2 R1", "the clock is the highest tick", "pipeline/stages/clock.py",
        (("lowest = min(ticks, key=", "lowest = max(ticks, key="),),
        PANES + "test_23_the_aligned_clock_is_the_lowest_tick_of_all"),
    Mutation("2 R10", "values without those who say nothing", "pipeline/stages/clock.py",
        (("        if len(ticks) < len(self._ticks) or not ticks:\n", "        if not ticks:\n"),),
        PANES + "test_23_the_aligned_clock_is_the_lowest_tick_of_all"),
    Mutation("2 R10", "who begins anew is taken for who went on", "pipeline/stages/publisher.py",
        (("self.epoch = clock.epoch + 1", "self.epoch = max(clock.epoch, 1)"),),
        "tests/properties/test_stages.py"
        "::test_a_source_that_began_anew_with_nothing_left_takes_back_what_it_gave"),
    Mutation("2 R12", "an extreme is never taken back", "pipeline/kpi/panes.py",
        (("            self.values[value] += sign\n", "            self.values[value] += 1\n"),),
        SUMS + "test_28_a_corrected_wait_leaves_no_trace_in_percentile_and_maximum"),
    Mutation("2 R12", "what is clipped further is not read again", "pipeline/kpi/merge.py",
        (("            elif all_[OPEN] != inside[OPEN]:\n", "            elif not inside:\n"),),
        "tests/properties/test_marks.py"
        "::test_what_reaches_into_a_sliding_window_from_before_it_grows_less"),
    Mutation("2 R12", "an interval counts where it began", "pipeline/kpi/spans.py",
        (("length_ms * before[rate] + end_ms * inside[rate] - inside[rate + 1]",
          "length_ms * before[rate]"),),
        SUMS + "test_31_eight_hours_of_a_state_cost_two_turns_and_grow_without_events"),
    Mutation("2 R13", "gauges of a lost partition stay", "sinks/prometheus.py",
        (("known.pop(partition, None)", "known.get(partition)"),),
        PANES + "test_23_what_a_lost_partition_showed_is_withdrawn"),
    Mutation("2 R13", "gauges whose clock stands still stay", "sinks/prometheus.py",
        ((" if now - at <= self._stale_seconds]", " if at <= now]"),),
        PANES + "test_23_what_a_lost_partition_showed_is_withdrawn"),
    Mutation("2 R14", "days begin at midnight UTC", "pipeline/kpi/calendar.py",
        (("return start_of_day(zone, day), start_of_day(zone, day + 1)",
          "return day * DAY_MS, (day + 1) * DAY_MS"),),
        SUMS + "test_32_what_is_corrected_of_yesterday_does_not_enter_today"),
    Mutation("2 R14", "one version of an exhibit says two things",
        "pipeline/stages/configuration.py",
        (("        if known is not None and known != change.text:\n",
          "        if known is not None and known == '':\n"),),
        "tests/unit/stages/test_configuration.py::test_what_is_known_or_older_changes_nothing"
        "_and_two_texts_of_one_version_are_refused"),
    Mutation("2 R14", "cells of two definitions mix", "pipeline/kpi/plan.py",
        (("            parts,\n            series,\n", ""),),
        SUMS + "test_33_a_cell_knows_which_definition_counted_it"),
    # --- undefined, defined, fresh, private -------------------------------------------------------
    Mutation("3 undefined", "zero for undefined", "pipeline/kpi/stats.py",
        (("    if numerator is None or denominator == 0:\n        return None\n",
          "    if numerator is None or denominator == 0:\n        return 0\n"),),
        PANES + "test_undefined_is_absent_and_never_zero"),
    Mutation("3 undefined", "an interval as wide as that of many", "pipeline/kpi/stats.py",
        (("    centre = p + z2 / 2\n", "    centre = p\n"),),
        SHOWN + "test_every_value_carries_n_and_a_proportion_its_interval"),
    Mutation("5 one definition", "a value does not say by which parameters",
        "pipeline/kpi/values.py", (("parameters=kpi.parameters,", "parameters={},"),),
        SHOWN + "test_a_value_says_by_which_definition_it_was_made"),
    Mutation("6 bounded", "a partition is read on without end", STAGE,
        (("len(p.fetched) < MAX_FETCHED_AHEAD", "len(p.fetched) >= 0"),),
        STEPS + "test_what_is_fetched_while_a_checkpoint_runs_is_bounded"),
    Mutation("6 fresh", "a batch that takes too long stays as large",
        "pipeline/microbatch/partition.py",
        (("max(min(records, self.most_records) // 2, LEAST_RECORDS)",
          "max(min(records, self.most_records), LEAST_RECORDS)"),),
        "tests/unit/test_batch_sizes.py"
        "::test_a_batch_that_took_too_long_halves_the_next_and_quick_ones_double_it"),
    Mutation("7 private", "a customer's number goes further", INTAKE,
        (('hashed = {"customer": None, "customer_key": key}',
          'hashed = {"customer": event.customer, "customer_key": key}'),),
        TAKEN + "test_no_name_or_number_of_a_customer_goes_further"),
)  # fmt: skip
