"""Whose work comes along, and under which terms."""

from __future__ import annotations

from importlib import metadata

import pytest
from installers.licences import Component, components, write_licence_texts


def test_all_that_the_program_requires_is_found_with_its_licence():
    found = {component.name: component for component in components("torch")}
    assert "torch" not in found
    assert found["jinja2"].licence.startswith("BSD")
    assert "markupsafe" in found  # what is required by what is required
    assert any(text.name.lower().startswith("licen") for text in found["jinja2"].texts)


def test_a_program_that_is_not_installed_has_no_components():
    with pytest.raises(metadata.PackageNotFoundError):
        components("no-such-distribution")


def test_terms_of_the_same_name_are_all_kept(tmp_path):
    texts = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        texts.append(tmp_path / folder / "LICENSE")
        texts[-1].write_text(folder)
    write_licence_texts(tmp_path / "out", [Component("x", "1", "MIT", tuple(texts))])
    assert sorted(path.read_text() for path in (tmp_path / "out" / "x").iterdir()) == ["a", "b"]
