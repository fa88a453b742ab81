"""What somebody sees who finds the project: its page as a package, how to cite it, forms for issues, hooks."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

import histoloop
from installers.program import REPOSITORY

FORMS = REPOSITORY / ".github" / "ISSUE_TEMPLATE"
SCHEMAS = {
    REPOSITORY / "CITATION.cff": "citation-file-format",
    FORMS / "bug.yml": "github-issue-forms",
    FORMS / "feature.yml": "github-issue-forms",
    FORMS / "config.yml": "github-issue-config",
}
STYLE = "{extends: default, rules: {line-length: {max: 160}, document-start: disable}}"


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_it_follows_its_schema(path):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{SCHEMAS[path]}", str(path)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", [*SCHEMAS, REPOSITORY / ".pre-commit-config.yaml"], ids=lambda path: path.name)
def test_it_is_tidy(path):
    assert list(linter.run(path.read_text("utf-8"), YamlLintConfig(STYLE))) == []


def test_every_form_is_known():
    assert set(FORMS.iterdir()) == {path for path in SCHEMAS if path.parent == FORMS}


def test_the_citation_is_of_this_version(project):
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == histoloop.__version__
    assert citation["license"] == project["project"]["license"]


def test_the_hooks_are_tools_of_the_set_up_and_check_what_make_checks(project):
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format", "mypy"]
    tools = {re.split(r"[><=\[]", each)[0] for each in project["dependency-groups"]["dev"] if isinstance(each, str)}
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["entry"].split()[0].removeprefix(".venv/bin/") in tools


def test_no_file_names_an_address_that_is_not_there():
    for path in (*REPOSITORY.glob("*.md"), *FORMS.iterdir(), REPOSITORY / "CITATION.cff"):
        text = path.read_text("utf-8")
        assert not re.search(r"\b[\w.+-]+@[\w-]+\.\w+", text), path.name
        assert not re.search(r"https?://", text), path.name


# --- the page of the package --------------------------------------------------------------------------------------


def page_of_the_package(project) -> str:
    """As hatch-fancy-pypi-readme makes it; packaging/wheel_test.sh looks at that of a wheel."""
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    (fragment,) = hook["fragments"]
    text = (REPOSITORY / fragment["path"]).read_text("utf-8")
    for change in hook["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    return text


def test_the_page_has_the_words_of_the_readme_and_no_link_into_the_repository(project):
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    page = page_of_the_package(project)
    assert re.search(r"\]\((?!https:)", readme)
    assert not re.search(r"\]\((?!https:)", page)
    assert re.findall(r"^#+ .*", page, re.MULTILINE) == re.findall(r"^#+ .*", readme, re.MULTILINE)
    for words in re.findall(r"(?<!!)\[([^\]]+)\]\(", readme):
        assert words in page


def test_a_link_to_a_place_that_is_everywhere_stays(project):
    (_, links) = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    text = "[a](docs/a.md) and [b](https://b.example)"
    assert re.sub(links["pattern"], links["replacement"], text) == "a and [b](https://b.example)"


def test_the_classifiers_name_the_pythons_that_it_runs_on(project):
    low, high = re.findall(r"3\.(\d+)", project["project"]["requires-python"])
    named = [text for text in project["project"]["classifiers"] if re.search(r"Python :: 3\.\d+$", text)]
    assert named == [f"Programming Language :: Python :: 3.{minor}" for minor in range(int(low), int(high))]


# --- the command line alone -------------------------------------------------------------------------------------------


def test_only_the_extra_gui_brings_qt(project):
    extras = project["project"]["optional-dependencies"]
    names = [re.match(r"[\w-]+", line)[0].lower() for line in project["project"]["dependencies"]]
    assert not {"pyside6", "napari", "vispy", "qtpy", "superqt", "dask"} & set(names)
    assert any(line.startswith("pyside6") for line in extras["gui"])
    assert any(line.startswith("distributed") for line in extras["cluster"])


def test_the_container_installs_the_command_line_without_the_window():
    recipe = (REPOSITORY / "packaging" / "container" / "Containerfile").read_text("utf-8")
    assert 'ENTRYPOINT ["histoloop"]' in recipe
    assert "[cluster]" in recipe
    assert "gui" not in recipe
    copied = [source for line in re.findall(r"^COPY (?!--)(.*)", recipe, re.MULTILINE) for source in line.split()[:-1]]
    allowed = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines() if line[0] == "!"}
    assert set(copied) == allowed
    assert all((REPOSITORY / source).exists() for source in copied)


def test_a_checkout_is_set_up_with_the_window():
    assert "'.[gui,cluster]'" in (REPOSITORY / "packaging" / "setup.sh").read_text("utf-8")
