"""The .deb of a small stand-in for the frozen program."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from installers.bundle import check_bundle, has_cuda, link_tree
from installers.deb import build_deb, control, copyright_file

RELEASED = 1_780_000_000

BUILDS = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None or shutil.which("readelf") is None, reason="dpkg-deb and readelf are not installed"
)


@pytest.fixture
def deb(bundle, program, found, tmp_path) -> Path:
    work = tmp_path / "work"
    return build_deb(bundle, tmp_path / "out", program=program, work=work, found=found, released=RELEASED)


@pytest.fixture
def unpacked(deb, tmp_path) -> Path:
    subprocess.run(["dpkg-deb", "--raw-extract", deb, tmp_path / "unpacked"], check=True)
    return tmp_path / "unpacked"


def field(deb: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", deb, name], capture_output=True, text=True, check=True).stdout.strip()


@BUILDS
def test_it_is_named_and_numbered_by_debians_rules(deb, program):
    assert deb.name == f"histoloop_{program.version}_amd64.deb"
    assert field(deb, "Package") == "histoloop"
    assert field(deb, "Version") == program.version


@BUILDS
def test_it_depends_on_what_the_bundle_needs_of_the_system(deb):
    depends = field(deb, "Depends").split(", ")
    assert any(package.startswith("libc6 (>= 2.") for package in depends)
    assert {"libgl1", "libegl1"} <= set(depends)


@BUILDS
def test_the_program_lies_in_usr_lib_and_is_found_on_the_path(unpacked):
    for name in ("histoloop", "histoloop-gui"):
        link = unpacked / "usr" / "bin" / name
        assert link.is_symlink()
        assert link.resolve() == unpacked / "usr" / "lib" / "histoloop" / name
        assert link.resolve().stat().st_mode & 0o777 == 0o755


@BUILDS
def test_links_of_the_bundle_stay_links_and_odd_permissions_become_plain(unpacked, bundle):
    inside = unpacked / "usr" / "lib" / "histoloop" / "_internal"
    assert (inside / "libneedsc.so").readlink() == Path("PySide6/libneedsc.so.6")
    assert (inside / "PySide6" / "libneedsc.so.6").stat().st_mode & 0o777 == 0o755
    assert (bundle / "_internal" / "PySide6" / "libneedsc.so.6").stat().st_mode & 0o777 == 0o775


@BUILDS
def test_everything_belongs_to_root(deb):
    listed = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}


@BUILDS
def test_nothing_lies_where_users_keep_their_work(deb):
    listed = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True, check=True).stdout
    paths = [line.split()[5] for line in listed.splitlines()]
    assert all(path == "./" or path.startswith("./usr/") for path in paths)


@BUILDS
def test_sums_are_right(unpacked):
    checked = subprocess.run(["md5sum", "--check", "--quiet", "DEBIAN/md5sums"], cwd=unpacked, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    assert "usr/lib/histoloop/_internal/models/tiny/card.md" in (unpacked / "DEBIAN" / "md5sums").read_text()


@BUILDS
def test_no_script_runs_at_installation(unpacked):
    assert sorted(path.name for path in (unpacked / "DEBIAN").iterdir()) == ["control", "md5sums"]


@BUILDS
def test_the_desktop_gets_entry_icons_types_page_and_manual(unpacked, program):
    share = unpacked / "usr" / "share"
    for name in (
        f"applications/{program.id}.desktop",
        f"mime/packages/{program.id}.xml",
        f"metainfo/{program.id}.metainfo.xml",
        "icons/hicolor/48x48/apps/histoloop.png",
        "icons/hicolor/scalable/apps/histoloop.svg",
        "man/man1/histoloop.1.gz",
        "man/man1/histoloop-gui.1.gz",
        "doc/histoloop/copyright",
        "doc/histoloop/licences/numpy/LICENSE.txt",
    ):
        assert (share / name).is_file(), name
    changelog = gzip.decompress((share / "doc" / "histoloop" / "changelog.gz").read_bytes()).decode()
    assert changelog.startswith(f"histoloop ({program.version}) stable; urgency=medium\n")


@BUILDS
def test_the_same_bundle_gives_the_same_package(bundle, program, found, tmp_path):
    work = tmp_path / "work"
    made = [
        build_deb(bundle, tmp_path / name, program=program, work=work, found=found, released=RELEASED)
        for name in ("first", "second")
    ]
    assert made[0].read_bytes() == made[1].read_bytes()


@BUILDS
def test_nothing_but_the_package_is_left(deb, bundle):
    assert [path.name for path in deb.parent.iterdir()] == [deb.name]
    check_bundle(bundle)


@BUILDS
@pytest.mark.parametrize(
    ("tool", "pattern"),
    [
        (["desktop-file-validate"], "applications/*.desktop"),
        (["appstreamcli", "validate", "--no-net"], "metainfo/*.xml"),
        (["xmllint", "--noout"], "mime/packages/*.xml"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_the_desktops_own_checkers_agree(unpacked, tool, pattern):
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    checked = subprocess.run([*tool, *(unpacked / "usr" / "share").glob(pattern)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_folder_that_is_not_the_frozen_program_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="make bundle"):
        check_bundle(tmp_path)


def test_the_description_says_what_it_computes_on(program, bundle):
    assert not has_cuda(bundle)
    (bundle / "_internal" / "libtorch_cuda.so").write_text("")
    assert has_cuda(bundle)
    assert "processor only" in control(program, ["libc6"], size_kib=1, cuda=False)
    assert "NVIDIA" in control(program, ["libc6"], size_kib=1, cuda=True)


def test_lines_of_the_description_are_short_and_begin_with_a_space(program):
    text = control(program, ["libc6"], size_kib=1, cuda=True)
    extended = text.partition("Description: ")[2].splitlines()[1:]
    assert all(line.startswith(" ") and len(line) <= 80 for line in extended)
    assert any("not a diagnostic device" in line for line in extended)


def test_each_component_is_named_with_its_licence(program, found):
    assert "  numpy 2.3.4: BSD-3-Clause\n" in copyright_file(program, found, RELEASED)
    assert "Copyright: 2026 The HistoLoop developers\n" in copyright_file(program, found, RELEASED)


def test_a_tree_is_linked_not_copied(bundle, tmp_path):
    link_tree(bundle, tmp_path / "twice")
    assert (tmp_path / "twice" / "histoloop").samefile(bundle / "histoloop")
