# SPDX-License-Identifier: MIT
"""The Helm chart renders valid objects, and refuses values that would not work."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are another package

from deploy import tools
from tidings import __version__
from tidings.settings import Settings

CHART = tools.DEPLOY / "helm/tidings"
KUBERNETES = "1.34.0"
NEEDED = ("image.repository=example/tidings", "existingSecret=tidings")
EVERYTHING = (
    *("metrics.enabled=true", "serviceMonitor.enabled=true", "prometheusRule.enabled=true"),
    *("networkPolicy.enabled=true", "podDisruptionBudget.maxUnavailable=50%"),
    "roles.all.autoscaling.enabled=true",
)
ROLES = {
    "roles": {
        "all": None,
        "api": {"api": True, "delivery": False, "tasks": False, "replicas": 3},
        "delivery": {"api": False, "delivery": True, "tasks": False, "replicas": 2, "workers": "auto"},
        "tasks": {"api": False, "delivery": False, "tasks": True},
    }
}


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [tools.program("helm", "go install helm.sh/helm/v3/cmd/helm"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rendered(values: Sequence[str], *more: str | Path) -> list[dict[str, Any]]:
    ran = helm("template", "t", CHART, "--kube-version", KUBERNETES, "--set", ",".join((*NEEDED, *values)), *more)
    assert ran.returncode == 0, ran.stderr
    return [each for each in yaml.safe_load_all(ran.stdout) if each]


def _containers(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    templates = [each["spec"]["template"] for each in objects if each["kind"] in ("Deployment", "Job")]
    return [container for template in templates for container in template["spec"]["containers"]]


def test_the_chart_passes_helm_lint() -> None:
    linted = helm("lint", "--strict", CHART, "--set", ",".join(NEEDED))

    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("values", [(), EVERYTHING], ids=["default", "everything"])
def test_every_object_is_valid(values: Sequence[str], tmp_path: Path) -> None:
    objects = [each for each in rendered(values) if "monitoring.coreos.com" not in each["apiVersion"]]
    validator = tools.program("kubernetes-validate", "pip install kubernetes-validate; it holds the schemas")
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump_all(objects))

    command = [validator, "--strict", "--kubernetes-version", KUBERNETES, str(tmp_path / "objects.yaml")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_one_deployment_has_all_roles_and_roles_can_be_deployed_apart(tmp_path: Path) -> None:
    (tmp_path / "roles.yaml").write_text(json.dumps(ROLES))
    [together] = [each for each in rendered(()) if each["kind"] == "Deployment"]
    apart = [each for each in rendered((), "--values", tmp_path / "roles.yaml") if each["kind"] == "Deployment"]

    assert ["serve", "--no-migrate"] == _containers([together])[0]["args"]
    assert [
        ["serve", "--no-migrate", "--no-delivery", "--no-tasks"],
        ["serve", "--no-migrate", "--no-api", "--no-tasks", "--workers=auto"],
        ["serve", "--no-migrate", "--no-api", "--no-delivery"],
    ] == [each["args"] for each in _containers(apart)]
    assert ["true", "false", "false"] == [
        each["spec"]["template"]["metadata"]["labels"]["tidings/api"] for each in apart
    ]


def test_every_container_is_confined_and_needs_no_writable_root() -> None:
    for container in _containers(rendered(EVERYTHING)):
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert ["ALL"] == security["capabilities"]["drop"]


def test_the_chart_sets_existing_settings_and_has_the_version_of_the_package() -> None:
    names = {each["name"] for container in _containers(rendered(EVERYTHING)) for each in container["env"]}
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert set() == {name.removeprefix("TIDINGS_").lower() for name in names} - set(Settings.__dataclass_fields__)
    assert (__version__, __version__) == (chart["version"], chart["appVersion"])


def test_the_chart_has_the_alert_rules() -> None:
    rules = (tools.DEPLOY / "prometheus/alerts.yaml").read_text()
    [rendered_rules] = [each["spec"] for each in rendered(EVERYTHING) if each["kind"] == "PrometheusRule"]

    assert rules == (CHART / "files/alerts.yaml").read_text(), "copy deploy/prometheus/alerts.yaml to the chart"
    assert yaml.safe_load(rules) == rendered_rules


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("image.repository=", "image.repository is required"),
        ("existingSecret=", "existingSecret is required"),
        ("terminationGracePeriodSeconds=15", "must exceed preStopSeconds"),
        ("roles.all.replicas=-1", "minimum"),
        ("roles.all.replica=2", "replica"),
        ("settings.FOO=1", "FOO"),
        ("image.digest=latest", "sha256"),
    ],
)
def test_values_that_would_not_work_are_refused(value: str, reason: str) -> None:
    refused = helm("template", "t", CHART, "--kube-version", KUBERNETES, "--set", ",".join((*NEEDED, value)))

    assert 0 != refused.returncode
    assert reason in refused.stderr
