"""deploy/: manifests against the types of the Kubernetes API, the chart by Helm, compose, images."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import models

from docs.reference import commands

DEPLOY = Path(__file__).parents[3] / "deploy"
CHART = DEPLOY / "helm" / "rank-toolkit"
RENDERED = DEPLOY / "kubernetes" / "rank-toolkit.yaml"
HELM = os.environ.get("HELM") or shutil.which("helm")
KINDS = {
    ("v1", "ConfigMap"): models.V1ConfigMap,
    ("v1", "Pod"): models.V1Pod,
    ("v1", "Service"): models.V1Service,
    ("v1", "ServiceAccount"): models.V1ServiceAccount,
    ("apps/v1", "Deployment"): models.V1Deployment,
    ("autoscaling/v2", "HorizontalPodAutoscaler"): models.V2HorizontalPodAutoscaler,
    ("batch/v1", "CronJob"): models.V1CronJob,
    ("policy/v1", "PodDisruptionBudget"): models.V1PodDisruptionBudget,
}
SIMPLE = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def check(value: Any, kind: Any, path: str) -> Any:
    """The value as the API's type; an AssertionError names what the API server would refuse."""
    if isinstance(kind, str):
        if inner := re.fullmatch(r"list\[(.+)\]", kind):
            assert isinstance(value, list), f"{path} is no list"
            return [check(one, inner[1], f"{path}[{i}]") for i, one in enumerate(value)]
        if inner := re.fullmatch(r"dict[(\[]str, (.+)[)\]]", kind):
            assert isinstance(value, dict), f"{path} is no object"
            quantity = path.endswith((".requests", ".limits"))
            return {
                key: str(one) if quantity and isinstance(one, int) else check(one, inner[1], f"{path}.{key}")
                for key, one in value.items()
            }
        if kind == "object":
            return value
        if kind in SIMPLE:
            right = isinstance(value, SIMPLE[kind]) and not (kind == "int" and isinstance(value, bool))
            assert right, f"{path} is {value!r}, not of type {kind}"
            return value
        kind = getattr(models, kind)
    assert isinstance(value, dict), f"{path} is no object"
    names = {wire: name for name, wire in kind.attribute_map.items()}
    unknown = value.keys() - names.keys()
    assert not unknown, f"{path} has no {sorted(unknown)}"
    try:
        return kind(
            **{
                names[wire]: check(one, kind.openapi_types[names[wire]], f"{path}.{wire}")
                for wire, one in value.items()
            }
        )
    except ValueError as e:  # a required field is missing, or a value is not one of those allowed
        raise AssertionError(f"{path}: {e}") from e


def documents(text: str) -> list[dict[str, Any]]:
    found = [one for one in yaml.safe_load_all(text) if one]
    for one in found:
        check(one, KINDS[one["apiVersion"], one["kind"]], f"{one['kind']}/{one['metadata']['name']}")
    return found


def by_name(found: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def pods(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Every pod's spec."""
    specs = {}
    for one in found:
        spec = one.get("spec", {})
        if one["kind"] == "Pod":
            specs[one["metadata"]["name"]] = spec
        elif "jobTemplate" in spec:
            specs[one["metadata"]["name"]] = spec["jobTemplate"]["spec"]["template"]["spec"]
        elif "template" in spec:
            specs[one["metadata"]["name"]] = spec["template"]["spec"]
    return specs


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    if HELM is None:
        pytest.skip("no helm here; set HELM to one, 3.x")
    return subprocess.run([HELM, *words], capture_output=True, text=True, timeout=60)


def rendered(*words: str) -> str:
    done = helm("template", "rank-toolkit", str(CHART), "--kube-version", "1.31.0", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one["spec"].update(replica=2), r"has no \['replica'\]"),
        (lambda one: one["spec"].update(replicas="two"), "replicas is 'two', not of type int"),
        (lambda one: one["spec"].pop("selector"), "selector"),
    ],
)
def test_the_check_finds_what_the_api_would_refuse(change: Any, says: str) -> None:
    deployment = by_name(documents(RENDERED.read_text()))["Deployment", "rank-toolkit-consumer"]
    change(deployment)
    with pytest.raises(AssertionError, match=says):
        check(deployment, models.V1Deployment, "x")


def test_the_manifests_are_of_the_api_and_hold_together() -> None:
    hold_together(documents(RENDERED.read_text(encoding="utf-8")))


def hold_together(found: list[dict[str, Any]]) -> None:
    """Selectors find their pods, pods their config, a stop fits its grace period; no pod is privileged."""
    names = by_name(found)
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in found if one["kind"] == "Deployment"]
    for one in found:
        selector = one.get("spec", {}).get("selector")
        if selector:
            wanted = selector.get("matchLabels", selector)
            assert sum(wanted.items() <= own.items() for own in labels) == 1, one["metadata"]["name"]
    for name, spec in pods(found).items():
        assert spec["securityContext"]["runAsNonRoot"], name
        assert not spec["automountServiceAccountToken"]
        mounted = {volume["name"] for volume in spec["volumes"]}
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == mounted, name
            own = container["securityContext"]
            assert own["readOnlyRootFilesystem"]
            assert (own["allowPrivilegeEscalation"], own["capabilities"]) == (False, {"drop": ["ALL"]})
            assert container["resources"]["limits"]["memory"]
            for source in container.get("envFrom", ()):
                assert ("ConfigMap", source["configMapRef"]["name"]) in names
            for variable in container.get("env", ()):
                secret = "KEY" in variable["name"] or "WEBHOOK" in variable["name"]
                assert ("secretKeyRef" in variable.get("valueFrom", {})) == secret, variable
    consumer = pods(found)["rank-toolkit-consumer"]
    args = dict(word.lstrip("-").split("=", 1) for word in consumer["containers"][0]["args"] if "=" in word)
    assert consumer["terminationGracePeriodSeconds"] > int(args["stop-deadline-s"])
    ports = {port["name"] for port in consumer["containers"][0]["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert consumer["containers"][0][probe]["httpGet"]["port"] in ports
    address = names["ConfigMap", "rank-toolkit"]["data"]["TRITON_URL"].partition(":")[0]
    assert ("Service", address) in names


def is_a_command(words: list[str]) -> bool:
    """Whether there is such a command, with such options."""
    verbs = list(takewhile(lambda word: not word.startswith(("-", "/")), words))
    known = commands()
    while verbs and tuple(verbs) not in known:  # the rest are arguments
        verbs.pop()
    if not verbs:
        return False
    options = {
        option
        for parameter in known[tuple(verbs)].params
        for option in (*getattr(parameter, "opts", ()), *getattr(parameter, "secondary_opts", ()))
    }
    return {word.partition("=")[0] for word in words if word.startswith("--")} <= options


def test_every_command_of_the_manifests_is_one_of_rank_cli() -> None:
    for name, spec in pods(documents(RENDERED.read_text(encoding="utf-8"))).items():
        words = spec["containers"][0].get("args")
        assert words is None or is_a_command(words), name  # Triton has none
    whole = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    for name in ("templates", "consumer", "backfill", "doctor"):
        assert is_a_command(whole["services"][name]["command"]), name
    assert not is_a_command(["doctor", "--onyl=x"])


@pytest.mark.parametrize("page", ["doctor.md", "examples.md"])
def test_every_command_of_the_pages_is_one_of_rank_cli(page: str) -> None:
    text = (DEPLOY.parent / "docs" / page).read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.M | re.S))
    found = re.findall(r"rank-cli ([a-z][^|)\n]*)", blocks)
    assert len(found) >= 4
    for line in found:
        assert is_a_command(shlex.split(line)), line


def test_the_manifests_are_the_chart_with_its_defaults() -> None:
    text = rendered("--skip-tests", "--set", "triton.image=rank-triton:0.1.0")
    assert RENDERED.read_text(encoding="utf-8").partition("\n")[2] == text, "run deploy/render.sh"


def test_the_chart_with_every_option_is_of_the_api_too() -> None:
    options = ("-f", str(DEPLOY / "helm" / "every-option.yaml"))
    assert helm("lint", "--strict", str(CHART), *options).returncode == 0
    found = documents(rendered(*options))
    hold_together(found)
    kinds = [one["kind"] for one in found]
    assert sorted(kinds) == [
        *("ConfigMap", "CronJob", "CronJob", "Deployment", "Deployment", "HorizontalPodAutoscaler", "Pod"),
        *("PodDisruptionBudget", "PodDisruptionBudget", "Service", "ServiceAccount"),
    ]
    assert "replicas" not in by_name(found)["Deployment", "rank-toolkit-consumer"]["spec"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("consumer.replicas=two", "/consumer/replicas"),
        ("elasticsearch.url=https://user:password@host:9200", "/elasticsearch/url"),
        ("consumer.batchsize=3", "additional properties 'batchsize' not allowed"),
        ("triton.image=", "triton.image: name the image"),
        ("triton.enabled=false", "triton.url: where is Triton?"),
        ("monitor.enabled=true", "monitor.capturesClaim: the volume"),
    ],
)
def test_wrong_values_are_refused_with_the_key(setting: str, says: str) -> None:
    image = ("--set", "triton.image=x")
    done = helm("template", "x", str(CHART), "--kube-version", "1.31.0", *image, "--set", setting)
    assert (done.returncode, says in done.stderr) == (1, True), done.stderr


def test_every_file_that_an_image_or_the_compose_file_names_is_there() -> None:
    root = DEPLOY.parent
    for dockerfile in DEPLOY.glob("docker/*Dockerfile"):
        for source in re.findall(r"^COPY (?!--from)(\S+) ", dockerfile.read_text(), flags=re.M):
            assert (root / source).exists(), (dockerfile.name, source)
    whole = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    engines = yaml.safe_load((root / "compose.yaml").read_text(encoding="utf-8"))
    for name, service in whole["services"].items():
        if "extends" in service:
            assert service["extends"]["service"] in engines["services"]
        if "dockerfile" in service.get("build", {}):
            assert (root / service["build"]["dockerfile"]).exists()
        for needed in service.get("depends_on", {}):
            assert needed in whole["services"], name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
