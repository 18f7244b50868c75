"""What Kubernetes' own schema does not say of the manifests, and must hold all the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.kpi import catalogue
from pipeline.settings import ROLES
from schemas.exhibit_file import load_exhibit
from schemas.topics import TOPICS
from tests.deploy.test_compose import setting_names

FOLDER = Path(__file__).parents[2] / "docker" / "kubernetes"
BASE = FOLDER / "base"
KEDA = FOLDER / "components" / "keda"


def documents(path: Path) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load_all(path.read_text("utf-8")))


def settings() -> dict[str, str]:
    return dict(line.split("=", 1) for line in (BASE / "settings.env").read_text().splitlines())


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_deployment_and_a_disruption_budget(role):
    deployment, budget = documents(BASE / f"{role}.yaml")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["--verbose", "worker", "--roles", role]
    assert (
        container["resources"]["limits"]["memory"] == container["resources"]["requests"]["memory"]
    )
    label = {"app.kubernetes.io/component": role}
    assert deployment["spec"]["selector"]["matchLabels"] == label
    assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": label}}
    (kustomization,) = documents(BASE / "kustomization.yaml")
    assert f"{role}.yaml" in kustomization["resources"]


def test_who_knows_which_secret():
    def secrets(role: str) -> set[str]:
        text = (BASE / f"{role}.yaml").read_text("utf-8")
        return set(re.findall(r"cxstream-(?:identity|clickhouse)", text))

    with_identity = {role for role in ROLES if "cxstream-identity" in secrets(role)}
    with_clickhouse = {role for role in ROLES if "cxstream-clickhouse" in secrets(role)}
    assert with_identity == {"intake", "lifecycle"}
    assert with_clickhouse == {"sink"}
    mounted = "/run/secrets/cxstream"
    assert settings()["CXSTREAM_IDENTITY_KEY_FILE"] == f"{mounted}/identity.key"
    assert mounted in (BASE / "intake.yaml").read_text("utf-8")


def test_settings_are_settings():
    assert set(settings()) <= setting_names()


def test_what_all_workers_share():
    (worker,) = documents(BASE / "worker.yaml")
    pod = worker["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    # The user of the image.
    assert pod["securityContext"]["runAsUser"] == 10001
    assert "USER 10001:10001" in (FOLDER.parent / "Dockerfile").read_text("utf-8")


def test_exhibits_are_valid():
    for path in [*BASE.glob("exhibits/*.yaml"), *FOLDER.glob("overlays/*/exhibits/*.yaml")]:
        catalogue.check_exhibit(load_exhibit(path), catalogue.load())


def test_scaling_by_lag():
    scaled = {one["spec"]["scaleTargetRef"]["name"]: one for one in documents(KEDA / "scaled.yaml")}
    # One exhibit has one owner: its stage does not scale with lag.
    assert set(scaled) == {f"cxstream-{role}" for role in ROLES if role != "exhibits"}
    for name, one in scaled.items():
        (trigger,) = one["spec"]["triggers"]
        told = trigger["metadata"]
        role = name.removeprefix("cxstream-")
        assert told["consumerGroup"] == name
        if role == "intake":
            assert told["topic"] == f"cx.raw.{settings()['CXSTREAM_PLATFORMS']}"
        else:
            assert role in TOPICS[told["topic"]].consumers
        assert int(told["lagThreshold"]) >= 10_000
        assert told["offsetResetPolicy"] == "earliest"
        assert told["allowIdleConsumers"] == "false"
        assert all(isinstance(value, str) for value in told.values())
    (shared,) = documents(KEDA / "behaviour.yaml")
    assert shared["spec"]["maxReplicaCount"] == int(settings()["CXSTREAM_PARTITIONS"])
    assert shared["spec"]["minReplicaCount"] == 1
    behaviour = shared["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    for direction in ("scaleUp", "scaleDown"):
        (policy,) = behaviour[direction]["policies"]
        assert (policy["type"], policy["value"]) == ("Pods", 1)
        # Longer than a rebalance and a restore, or steps pile up.
        assert policy["periodSeconds"] >= 300
