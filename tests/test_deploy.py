"""The files under deploy/, as far as they can be checked without Slurm and Kubernetes."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from sweeps import __version__
from sweeps.cli import app

ROOT = Path(__file__).parents[1]
SLURM = ROOT / "deploy" / "slurm" / "sweep.sbatch"
KUBERAY = ROOT / "deploy" / "kuberay" / "rayjob.yaml"


def manifests() -> dict[str, dict]:
    return {part["kind"]: part for part in yaml.safe_load_all(KUBERAY.read_text())}


def commands(text: str) -> list[list[str]]:
    """Every command of this program in a shell script, as words."""
    lines = re.findall(r"^\s*(?:exec python -m sweeps|sweep) (.+?)\s*&?$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize(
    "text",
    [SLURM.read_text(), manifests()["ConfigMap"]["data"]["start.sh"]],
    ids=["slurm", "kuberay"],
)
def test_what_they_start_is_a_command_of_this_program(text):
    group = typer.main.get_command(app)
    found = commands(text)
    assert sorted(words[0] for words in found) == ["resume", "run"]
    for words in found:
        options = {name for param in group.commands[words[0]].params for name in param.opts}
        assert {word for word in words if word.startswith("-")} <= options


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
@pytest.mark.parametrize("text", [SLURM.read_text(), manifests()["ConfigMap"]["data"]["start.sh"]])
def test_a_shell_reads_them(text):
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_every_volume_that_a_pod_mounts_is_there():
    cluster = manifests()["RayJob"]["spec"]["rayClusterSpec"]
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for pod in pods:
        spec = pod["template"]["spec"]
        volumes = {volume["name"] for volume in spec["volumes"]}
        for container in spec["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


def test_no_secret_stands_in_the_manifest_and_none_in_the_runtime_environment():
    job = manifests()["RayJob"]["spec"]
    assert set(yaml.safe_load(job["runtimeEnvYAML"])["env_vars"]) == {"RAY_JOB_STOP_WAIT_TIME_S"}
    container = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    for variable in container["env"]:
        if variable["name"] in ("WANDB_API_KEY", "HF_TOKEN"):
            assert set(variable) == {"name", "valueFrom"}


def test_the_versions_are_the_ones_that_are_tested():
    job = manifests()["RayJob"]["spec"]
    pins = (ROOT / "constraints.txt").read_text()
    assert f"ray=={job['rayClusterSpec']['rayVersion']}\n" in pins
    images = set(re.findall(r"image: (\S+)", KUBERAY.read_text()))
    name = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["name"]
    assert images == {f"{name}:{__version__}"}


def test_a_cluster_that_they_start_asks_for_a_token():
    assert "RAY_AUTH_MODE=token" in SLURM.read_text()
    assert manifests()["RayJob"]["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}
