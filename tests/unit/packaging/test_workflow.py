"""The workflows that test the program and make its installers on the three systems."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from installers.program import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
STYLE = "{extends: default, rules: {line-length: {max: 130}, document-start: disable}}"


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def workflow(path):
    return yaml.safe_load(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def installers():
    return yaml.safe_load((REPOSITORY / ".github/workflows/installers.yml").read_text("utf-8"))


@pytest.fixture(scope="module")
def tests():
    return yaml.safe_load((REPOSITORY / ".github/workflows/test.yml").read_text("utf-8"))


def steps_of(job) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_there_is_one_for_the_tests_and_one_for_the_installers():
    assert [path.stem for path in WORKFLOWS] == ["installers", "test"]


def test_it_is_tidy(path):
    assert list(linter.run(path.read_text("utf-8"), YamlLintConfig(STYLE))) == []


def test_it_follows_the_schema_of_workflows(path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_it_calls_is_there(workflow):
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    for job in workflow["jobs"].values():
        steps = steps_of(job)
        for script in re.findall(r"packaging[/\\][\w/\\.]+\.(?:sh|ps1|py)", steps):
            assert (REPOSITORY / script.replace("\\", "/")).is_file(), script
        for folder in re.findall(r"\btests/[\w/]+", steps):
            assert (REPOSITORY / folder).is_dir(), folder
        for target in re.findall(r"\bmake ([a-z][a-z -]*)", re.sub(r"#.*", "", steps)):
            for name in target.split():
                assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def test_secrets_reach_steps_only_as_environment_variables(workflow):
    for job in workflow["jobs"].values():
        assert "secrets." not in steps_of(job)


def test_what_it_is_allowed_is_to_read(workflow):
    assert workflow["permissions"] == {"contents": "read"}


def test_no_job_runs_for_ever(workflow):
    assert all(job["timeout-minutes"] <= 180 for job in workflow["jobs"].values())


def test_all_its_secrets_and_variables_are_described_where_one_looks_for_them(path):
    text = path.read_text("utf-8")
    head = text.partition("\nname:")[0]
    for name in set(re.findall(r"(?:secrets|vars)\.(\w+)", text)):
        assert name in head


# --- installers ---------------------------------------------------------------------------------------------------


def test_each_system_builds_tests_and_uploads(installers):
    images = {name: job["runs-on"].partition("-")[0] for name, job in installers["jobs"].items()}
    assert images == {"linux": "ubuntu", "windows": "windows", "macos": "macos"}
    for name, test in {"linux": "make deb-test", "windows": "test_installer.ps1", "macos": "test_dmg.sh"}.items():
        job = installers["jobs"][name]
        assert test in steps_of(job)
        assert job["steps"][-1]["uses"].startswith("actions/upload-artifact@")
        assert job["steps"][-1]["with"]["if-no-files-found"] == "error"
    for target in ("deb", "tarball", "deb-test", "tarball-test"):
        assert re.search(rf"\bmake [a-z ]*\b{target}\b", steps_of(installers["jobs"]["linux"]))


# --- tests --------------------------------------------------------------------------------------------------------


def test_every_change_is_tested_on_the_three_systems(tests):
    assert {"pull_request", "push"} <= set(tests["on"])
    linux, others = tests["jobs"]["linux"], tests["jobs"]["others"]
    assert linux["runs-on"].startswith("ubuntu-")
    images = [system["image"].partition("-")[0] for system in others["strategy"]["matrix"]["include"]]
    assert images == ["windows", "macos"]
    assert "make test" in steps_of(linux)


def test_the_other_systems_run_the_tests_of_the_makefile(tests):
    """But for those that make installers for Linux, and on Windows those that need OpenGL."""
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    (folders,) = re.findall(r"-m pytest (tests/unit.*?) -n ", makefile)
    steps = tests["jobs"]["others"]["steps"]
    assert f"python -m pytest {folders} --ignore tests/unit/packaging" in steps_of(tests["jobs"]["others"])
    (window,) = (step for step in steps if step.get("run") == "python -m pytest tests/gui")
    assert window["if"] == "runner.os != 'Windows'"


def test_the_first_and_the_last_python_are_tested(tests):
    text = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text)
    tried = tests["jobs"]["linux"]["strategy"]["matrix"]["python"]
    assert tried == [versions[0], versions[-1]]
