"""Dependencies follow what the files of the bundle need."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from installers.libraries import Needs, Table, UnknownLibraryError, depends, find_needs, load_table, required_sonames

TABLE = Table(
    packages={"libc.so.6": "libc6", "libGL.so.1": "libgl1"},
    loaded={"libegl1": "by name"},
    optional={"libcuda.so.1": "a driver"},
)
READS_ELF = pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf is not installed")
COMPILES = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def test_packages_are_those_of_the_libraries_those_loaded_by_name_and_the_c_library_with_its_version():
    needs = Needs({"libGL.so.1": "a", "libc.so.6": "a", "libcuda.so.1": "b"}, glibc=(2, 34))
    assert depends(needs, TABLE) == ["libc6 (>= 2.34)", "libegl1", "libgl1"]
    assert required_sonames(needs, TABLE) == ["libGL.so.1", "libc.so.6"]


@pytest.mark.parametrize(
    ("cxx", "package"), [(0, "libstdc++6"), (29, "libstdc++6 (>= 11)"), (30, "libstdc++6 (>= 12)")]
)
def test_the_c_plus_plus_library_is_asked_for_by_the_version_of_its_compiler(cxx, package):
    table = Table(packages={"libstdc++.so.6": "libstdc++6"}, loaded={}, optional={})
    needs = Needs({"libstdc++.so.6": "a"}, glibc=(2, 34), cxx=cxx)
    assert depends(needs, table) == ["libc6 (>= 2.34)", package]


def test_a_c_plus_plus_library_that_nobody_knows_stops_the_build():
    with pytest.raises(UnknownLibraryError, match=r"GLIBCXX_3\.4\.99"):
        depends(Needs({}, glibc=(2, 34), cxx=99), TABLE)


def test_a_library_that_nobody_thought_of_stops_the_build():
    with pytest.raises(UnknownLibraryError, match=r"libnew\.so\.3 \(of _internal/x\.so\)"):
        depends(Needs({"libnew.so.3": "_internal/x.so"}, glibc=(2, 34)), TABLE)


@READS_ELF
def test_what_a_file_needs_is_read_from_it(bundle):
    needs = find_needs(bundle)
    assert needs.libraries == {"libc.so.6": "_internal/PySide6/libneedsc.so.6"}
    assert needs.glibc >= (2, 17)


@READS_ELF
@COMPILES
def test_what_is_inside_the_bundle_is_not_asked_of_the_system(bundle):
    inside = bundle / "_internal"
    for name, links in (("libinner.so.1", []), ("libouter.so", ["libinner.so.1"])):
        others = [str(inside / link) for link in links]
        command = ["cc", "-shared", "-Wl,--no-as-needed", f"-Wl,-soname,{name}", "-x", "c", "/dev/null", "-x", "none"]
        subprocess.run([*command, *others, "-o", str(inside / name)], check=True)
    assert set(find_needs(bundle).libraries) <= {"libc.so.6", "ld-linux-x86-64.so.2"}
    (inside / "libinner.so.1").unlink()
    assert find_needs(bundle).libraries["libinner.so.1"] == "_internal/libouter.so"


def test_the_table_gives_each_library_one_answer_and_each_exception_a_reason():
    table = load_table()
    assert not set(table.packages) & set(table.optional)
    assert all(table.optional.values())
    assert all(table.loaded.values())
    assert {"libGL.so.1", "libEGL.so.1", "libxcb-cursor.so.0", "libxkbcommon-x11.so.0"} <= set(table.packages)


def test_what_bundled_libraries_read_from_the_system_is_asked_for():
    assert {"fontconfig-config", "xkb-data", "libx11-data"} <= set(load_table().loaded)
