from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from schemas import facts
from schemas.interaction import EVENT_CLASSES
from schemas.values import ExhibitValue, WindowRef
from sinks.clickhouse import ddl, migrate
from sinks.clickhouse.rows import COLUMNS

pytestmark = pytest.mark.clickhouse

VIEWS = {
    *ddl.VIEWS.values(), "events", "kpis", "ai_performers", "uncounted_events", "journey_steps",
}  # fmt: skip
DDL_KINDS = sorted(facts.FACT_KINDS)


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


async def described(client, table: str) -> dict[str, tuple[str, str, str]]:
    """Type, comment and kind of default of each column."""
    answer = await client.query(
        "SELECT name, type, comment, default_kind FROM system.columns "
        "WHERE database = currentDatabase() AND table = {table:String} ORDER BY position",
        parameters={"table": table},
    )
    return {name: (type_, comment, kind) for name, type_, comment, kind in answer.result_rows}


async def test_plan_and_apply_until_nothing_is_left(empty):
    names = [migration.name for migration in await migrate.plan(empty)]
    assert names == [
        "0001_interaction_events.sql",
        "0002_facts.sql",
        "0003_kpi_values.sql",
        "0004_dead_letters.sql",
        "0005_views.sql",
        "0006_judgements_and_cases.sql",
        "0007_plans.sql",
        "0008_working_time.sql",
        "0009_service.sql",
        "0010_horizon.sql",
        "0011_platform_restarts.sql",
        "0012_journeys.sql",
        "0013_tokens.sql",
        "0014_heartbeats.sql",
        "0015_flows_and_teams.sql",
        "0016_cases_of_contacts.sql",
    ]
    assert [migration.name for migration in await migrate.apply(empty)] == names
    assert await migrate.plan(empty) == []
    assert await migrate.apply(empty) == []


async def test_statements_can_be_run_again_over_data(migrated):
    await migrated.insert("dead_letters", [["t", 0]], column_names=["topic", "partition"])
    for migration in migrate.load():
        for statement in migration.statements:
            await migrated.command(statement)
    assert await migrated.command("SELECT count() FROM dead_letters") == 1


async def test_a_migration_that_stopped_half_way_is_applied_again(empty, tmp_path):
    first = "CREATE TABLE IF NOT EXISTS a (x Int64) ENGINE = MergeTree ORDER BY x;\n"
    broken = write(tmp_path, {"0001_ab.sql": first + "CREATE TABLE IF NOT EXISTS b (x Nope);\n"})
    with pytest.raises(migrate.MigrationError, match=r"0001_ab\.sql: .*Nope"):
        await migrate.apply(empty, broken)
    assert await empty.command("EXISTS TABLE a") == 1
    mended = write(tmp_path, {"0001_ab.sql": first + first.replace("EXISTS a", "EXISTS b")})
    assert [migration.name for migration in await migrate.apply(empty, mended)] == ["0001_ab.sql"]
    assert await empty.command("EXISTS TABLE b") == 1


async def test_a_changed_file_and_a_newer_database_are_refused(empty, tmp_path):
    sql = "CREATE TABLE IF NOT EXISTS a (x Int64) ENGINE = MergeTree ORDER BY x;\n"
    folder = write(tmp_path, {"0001_a.sql": sql, "0002_b.sql": sql.replace(" a ", " b ")})
    await migrate.apply(empty, folder)
    write(folder, {"0001_a.sql": sql.replace("Int64", "String")})
    with pytest.raises(migrate.MigrationError, match=r"0001_a\.sql was changed after it was app"):
        await migrate.plan(empty, folder)
    write(folder, {"0001_a.sql": sql})
    (folder / "0002_b.sql").unlink()
    with pytest.raises(migrate.MigrationError, match=r"ahead of this version: 0002_b\.sql"):
        await migrate.apply(empty, folder)


@pytest.mark.parametrize(
    ("name", "sql", "message"),
    [
        ("0002_a.sql", "DROP VIEW IF EXISTS a;", r"0002_a\.sql should be named 0001_<what>\.sql"),
        ("1_a.sql", "DROP VIEW IF EXISTS a;", "should be named 0001_"),
        ("0001_a.sql", "CREATE TABLE a (x Int64);", "not safe to run again: CREATE TABLE a"),
        ("0001_a.sql", "ALTER TABLE a ADD COLUMN b Int64;", "not safe to run again"),
        ("0001_a.sql", "-- why\nINSERT INTO a VALUES (1);", "not safe to run again: INSERT"),
    ],
)
def test_files_that_could_do_harm_are_refused(tmp_path, name, sql, message):
    with pytest.raises(migrate.MigrationError, match=message):
        migrate.load(write(tmp_path, {name: sql}))


@pytest.mark.parametrize("kind", DDL_KINDS)
async def test_fact_tables_have_exactly_the_columns_of_the_schema(migrated, kind):
    """A new column of a fact needs a new migration: see the generator ``sinks.clickhouse.ddl``."""
    wanted = {c.name: (c.type, c.comment, "") for c in ddl.fact_columns(kind)}
    wanted |= {c.name: (c.type, c.comment, "ALIAS") for c in ddl.fact_aliases(kind)}
    assert await described(migrated, ddl.fact_table(kind)) == wanted
    names = [name for name in wanted if name != "deleted"]
    assert list(await described(migrated, ddl.VIEWS[kind])) == names


@pytest.mark.parametrize("kind", DDL_KINDS)
def test_every_time_of_a_fact_is_an_instant_or_a_duration(kind):
    times = {c.name for c in facts.columns(kind) if c.name.endswith("_ms")}
    assert not ddl.INSTANTS & ddl.DURATIONS
    assert times <= ddl.INSTANTS | ddl.DURATIONS


def test_types_of_fact_columns():
    types = {column.name: column.type for column in ddl.fact_columns("handling_segment")}
    assert types["fact_id"] == "String"
    assert types["version"] == "UInt64"
    assert types["deleted"] == "UInt8"
    assert types["interaction_id"] == "String"
    assert types["queue"] == "LowCardinality(String)"
    assert types["accepted_ms"] == "Int64"
    assert types["left_ms"] == "Nullable(Int64)"
    assert types["handled"] == "Bool"
    assert types["handoff_context_ok"] == "Nullable(Bool)"
    aliases = {column.name: column.type for column in ddl.fact_aliases("handling_segment")}
    assert aliases == {
        "accepted_at": "DateTime64(3, 'UTC')",
        "left_at": "Nullable(DateTime64(3, 'UTC'))",
        "closed_at": "Nullable(DateTime64(3, 'UTC'))",
        "handoff_at": "Nullable(DateTime64(3, 'UTC'))",
        "handoff_accepted_at": "Nullable(DateTime64(3, 'UTC'))",
    }


async def test_the_events_table_has_every_field_of_every_kind_but_raw_identity(migrated):
    fields = {name for cls in EVENT_CLASSES.values() for name in cls.model_fields}
    own = {"event", "content_hash", "kafka_topic", "kafka_partition", "kafka_offset", "accepted_at"}
    found = await described(migrated, "interaction_events")
    assert set(found) == (fields - {"customer", "account"}) | own | {"version"}
    for column in ddl.event_columns():
        assert found[column.name] == (column.type, column.comment, "")
    assert found["version"][2] == "MATERIALIZED"
    view = await described(migrated, "events")
    assert set(view) == (fields - {"customer", "account"}) | own - {"content_hash"}


async def test_kpi_values_have_every_field_of_a_published_value(migrated):
    fields = {field.encode_name for field in msgspec.structs.fields(ExhibitValue)} - {"window"}
    fields |= {f"window_{field.encode_name}" for field in msgspec.structs.fields(WindowRef)}
    found = await described(migrated, "kpi_values")
    assert set(found) == fields | {"key", "version", "deleted"}
    assert set(await described(migrated, "kpis")) == fields
    nullable = {name for name, (type_, _, _) in found.items() if "Nullable" in type_}
    assert nullable == {
        "window_start", "window_end", "numerator", "denominator", "value", "n", "low", "high",
        "target",
    }  # fmt: skip


@pytest.mark.parametrize("table", sorted(COLUMNS))
async def test_the_sink_gives_every_column_that_is_not_computed(migrated, table):
    found = await described(migrated, table)
    assert set(COLUMNS[table]) == {
        name for name, (_, _, kind) in found.items() if kind in ("", "DEFAULT")
    }


async def test_every_column_and_table_says_what_it_is(migrated):
    undescribed = await migrated.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() "
        "AND comment = '' AND table NOT IN {views:Array(String)}",
        parameters={"views": sorted(VIEWS)},
    )
    assert undescribed.result_rows == []
    silent = await migrated.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    )
    assert silent.result_rows == []


async def test_nothing_is_sorted_partitioned_or_expired_by_what_a_correction_can_change(migrated):
    answer = await migrated.query(
        "SELECT name, engine, sorting_key, partition_key, create_table_query LIKE '%TTL%' "
        "FROM system.tables WHERE database = currentDatabase() AND engine != 'View'"
    )
    replacing = "ReplacingMergeTree"
    found = {row[0]: tuple(row[1:]) for row in answer.result_rows}
    wanted = {ddl.fact_table(kind): (replacing, "fact_id", "", 0) for kind in facts.FACT_KINDS}
    wanted |= {
        "interaction_events": (replacing, "event_id", "", 0),
        "kpi_values": (replacing, "exhibit, as, key", "", 0),
        "definitions": (replacing, "kpi, kpi_version", "", 0),
        "platform_restarts": (replacing, "source, restarted_at", "", 0),
        "heartbeats": (replacing, "topic, source", "", 0),
        "dead_letters": (replacing, "topic, partition, offset, sha256", "", 0),
        "schema_migrations": (replacing, "name", "", 0),
        "late_records": (replacing, "event_id, interaction_id, reason", "", 0),
        "frozen_interactions": (replacing, "interaction_id, event_ids", "", 0),
        "dirty_intervals": (replacing, "exhibit, exhibit_version, start_ms, cell", "", 0),
    }
    assert found == wanted
