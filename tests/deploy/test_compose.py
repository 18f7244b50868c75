"""What the Compose specification does not ask of docker/compose.yaml, and must hold anyway."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.settings import ClickHouseSettings, Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
TEXT = (DOCKER / "compose.yaml").read_text("utf-8")
COMPOSE: dict[str, Any] = YAML(typ="safe", pure=True).load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("setup", "worker", "simulator")


def setting_names() -> set[str]:
    return {
        f"{cls.model_config['env_prefix']}{name}".upper()
        for cls in (Settings, ClickHouseSettings)
        for name in cls.model_fields
    }


@pytest.mark.parametrize("name", SERVICES)
def test_whom_a_service_waits_for(name):
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        if how["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert other == "setup"


def test_who_starts_first():
    assert set(SERVICES["setup"]["depends_on"]) == {"kafka", "clickhouse"}
    assert set(SERVICES["worker"]["depends_on"]) == {"setup"}
    assert SERVICES["simulator"]["profiles"] == ["simulate"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name):
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (DOCKER / source).exists(), source
            assert volume.endswith(":ro"), volume
        else:
            assert source in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_ports_are_local(name):
    image = SERVICES[name]["image"]
    if name not in OURS:
        assert re.fullmatch(r"[a-z]+/[a-z-]+:v?\d+\.\d+\.\d+(\.\d+)?", image)
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", [*OURS, "prometheus", "alertmanager"])
def test_hardened(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_secrets_have_no_default_and_every_variable_is_in_the_example():
    used = re.findall(r"(?<!\$)\$\{(\w+)(:[-?])?", TEXT)
    example = re.findall(r"^(\w+)=(.*)$", (DOCKER / ".env.example").read_text("utf-8"), re.M)
    known = dict(example) | {"CXSTREAM_VERSION": "0.1.0"}
    for name, how in used:
        assert name in known
        secret = name.endswith("PASSWORD")
        assert how == (":?" if secret else ":-")
        assert (known[name] == "") == secret
    assert {name for name, _ in used} == set(known)


def test_settings_are_settings():
    for name in OURS:
        given = {n for n in SERVICES[name]["environment"] if n.startswith("CXSTREAM_")}
        assert given <= setting_names()


def test_one_port_for_metrics():
    dockerfile = (DOCKER / "Dockerfile").read_text("utf-8")
    (port,) = re.findall(r"CXSTREAM_METRICS_PORT=(\d+)", dockerfile)
    assert f"EXPOSE {port}\n" in dockerfile
    prometheus = YAML(typ="safe", pure=True).load(
        (DOCKER / "prometheus" / "prometheus.yml").read_text("utf-8")
    )
    (job,) = prometheus["scrape_configs"]
    (lookup,) = job["dns_sd_configs"]
    assert (job["job_name"], lookup["names"], lookup["port"]) == ("cxstream", ["worker"], int(port))
    assert lookup["names"][0] in SERVICES


def test_grafana_finds_its_data_sources():
    folder = DOCKER / "grafana" / "provisioning" / "datasources"
    sources = YAML(typ="safe", pure=True).load((folder / "cxstream.yaml").read_text("utf-8"))
    found = {one["uid"]: one for one in sources["datasources"]}
    assert set(found) == {"cxstream-prometheus", "cxstream-clickhouse"}
    assert found["cxstream-prometheus"]["url"] == "http://prometheus:9090"
    clickhouse = found["cxstream-clickhouse"]
    assert clickhouse["jsonData"]["host"] in SERVICES
    variable = clickhouse["secureJsonData"]["password"].removeprefix("$")
    assert variable in SERVICES["grafana"]["environment"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DOCKER / "grafana" / "dashboards" / Path(home).name).is_file()
    plugin = SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"]
    dashboard = (DOCKER / "grafana" / "dashboards" / "bots.json").read_text("utf-8")
    assert f'"pluginVersion": "{plugin.partition("@")[2]}"' in dashboard
