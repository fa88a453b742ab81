"""The workflow that makes the installers on the three systems."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from installers.program import REPOSITORY

WORKFLOW = REPOSITORY / ".github" / "workflows" / "installers.yml"
STYLE = "{extends: default, rules: {line-length: {max: 130}, document-start: disable}}"


@pytest.fixture(scope="module")
def workflow():
    return yaml.safe_load(WORKFLOW.read_text("utf-8"))


def steps_of(job) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_it_is_tidy():
    assert list(linter.run(WORKFLOW.read_text("utf-8"), YamlLintConfig(STYLE))) == []


def test_it_follows_the_schema_of_workflows():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_system_builds_tests_and_uploads(workflow):
    images = {name: job["runs-on"].partition("-")[0] for name, job in workflow["jobs"].items()}
    assert images == {"linux": "ubuntu", "windows": "windows", "macos": "macos"}
    for name, test in {"linux": "make deb-test", "windows": "test_installer.ps1", "macos": "test_dmg.sh"}.items():
        job = workflow["jobs"][name]
        assert test in steps_of(job)
        assert job["steps"][-1]["uses"].startswith("actions/upload-artifact@")
        assert job["steps"][-1]["with"]["if-no-files-found"] == "error"


def test_what_it_calls_is_there(workflow):
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    for job in workflow["jobs"].values():
        for script in re.findall(r"packaging[/\\][\w/\\.]+\.(?:sh|ps1)", steps_of(job)):
            assert (REPOSITORY / script.replace("\\", "/")).is_file(), script
    for target in ("deb", "tarball", "deb-test", "tarball-test"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_secrets_reach_steps_only_as_environment_variables(workflow):
    for job in workflow["jobs"].values():
        assert "secrets." not in steps_of(job)


def test_what_it_is_allowed_is_to_read(workflow):
    assert workflow["permissions"] == {"contents": "read"}


def test_all_its_secrets_and_variables_are_described_where_one_looks_for_them():
    text = WORKFLOW.read_text("utf-8")
    head = text.partition("\nname:")[0]
    for name in set(re.findall(r"(?:secrets|vars)\.(\w+)", text)):
        assert name in head
