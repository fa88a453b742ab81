"""Whose work comes along, and under which terms."""

from __future__ import annotations

from importlib import metadata

import pytest

from installers.licences import Component, components, dependencies, write_licence_texts


def test_all_that_is_required_is_found_with_its_licence():
    found = {component.name: component for component in components(["jinja2>=3", "pytest"])}
    assert {"jinja2", "markupsafe", "pytest", "pluggy"} <= set(found)
    assert found["jinja2"].licence.startswith("BSD")
    assert any(text.name.lower().startswith("licen") for text in found["jinja2"].texts)


def test_what_another_system_would_require_is_not_there():
    found = {component.name for component in components(["jinja2", "no-such-thing; sys_platform == 'plan9'"])}
    assert found == {"jinja2", "markupsafe"}


def test_what_is_required_must_be_installed():
    with pytest.raises(metadata.PackageNotFoundError):
        components(["no-such-distribution"])


def test_the_program_requires_qt_and_pytorch():
    names = {component.name for component in components(dependencies())}
    assert {"pyside6", "torch", "numpy", "openslide-bin"} <= names
    assert "pytest" not in names


def test_terms_of_the_same_name_are_all_kept(tmp_path):
    texts = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        texts.append(tmp_path / folder / "LICENSE")
        texts[-1].write_text(folder)
    write_licence_texts(tmp_path / "out", [Component("x", "1", "MIT", tuple(texts))])
    assert sorted(path.read_text() for path in (tmp_path / "out" / "x").iterdir()) == ["a", "b"]
