#!/usr/bin/env bash
# Sets up a checkout: system libraries (Debian, Ubuntu), .venv, the package and its development tools.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*"; }

# --- system libraries that Qt and OpenGL load at run time --------------------------------------------------------
# soname:package; a library counts as present when the dynamic linker knows it
libraries="
libGL.so.1:libgl1
libEGL.so.1:libegl1
libopengl.so.0:libopengl0
libxkbcommon.so.0:libxkbcommon0
libxkbcommon-x11.so.0:libxkbcommon-x11-0
libxcb-cursor.so.0:libxcb-cursor0
libxcb-icccm.so.4:libxcb-icccm4
libxcb-image.so.0:libxcb-image0
libxcb-keysyms.so.1:libxcb-keysyms1
libxcb-render-util.so.0:libxcb-render-util0
libxcb-randr.so.0:libxcb-randr0
libxcb-shape.so.0:libxcb-shape0
libxcb-shm.so.0:libxcb-shm0
libxcb-sync.so.1:libxcb-sync1
libxcb-xfixes.so.0:libxcb-xfixes0
libxcb-xkb.so.1:libxcb-xkb1
libX11-xcb.so.1:libx11-xcb1
libdbus-1.so.3:libdbus-1-3
libfontconfig.so.1:libfontconfig1
libglib-2.0.so.0:libglib2.0-0
libgomp.so.1:libgomp1
"

missing_packages() {
    local known
    known=$( (ldconfig -p 2>/dev/null || /sbin/ldconfig -p) | tr '[:upper:]' '[:lower:]')
    for entry in $libraries; do
        local soname=${entry%%:*}
        grep -qF "$(tr '[:upper:]' '[:lower:]' <<<"$soname")" <<<"$known" || echo "${entry##*:}"
    done
    dpkg-query -W -f='${Status}' libgl1-mesa-dri 2>/dev/null | grep -q 'ok installed' || echo libgl1-mesa-dri
    [ -n "$(find /usr/share/fonts -name '*.ttf' -print -quit 2>/dev/null)" ] || echo fonts-dejavu-core
    command -v Xvfb >/dev/null || echo xvfb
    python_with_venv >/dev/null || echo python3-venv
}

python_with_venv() {
    for candidate in python3 python3.12 python3.13 python3.11; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

if [ "$(uname -s)" = Linux ] && command -v dpkg-query >/dev/null; then
    packages=$(missing_packages | sort -u | tr '\n' ' ')
    if [ -n "${packages// /}" ]; then
        if [ "$(id -u)" = 0 ]; then
            as_root=""
        elif sudo -n true 2>/dev/null; then
            as_root="sudo"
        else
            echo "Some system libraries are missing. Type this line, then run make again:" >&2
            echo "    sudo apt-get update && sudo apt-get install -y $packages" >&2
            exit 1
        fi
        say "Installing system libraries: $packages"
        $as_root apt-get update -q
        # shellcheck disable=SC2086 # a list of packages
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -q --no-install-recommends $packages
    fi
fi

# --- Python environment ------------------------------------------------------------------------------------------
python=$(python_with_venv) || {
    echo "HistoLoop needs Python 3.11, 3.12 or 3.13 with venv; none was found. Install python3 and python3-venv." >&2
    exit 1
}
if [ ! -x .venv/bin/python ]; then
    say "Creating .venv with $("$python" --version)"
    "$python" -m venv .venv
fi
say "Installing HistoLoop and its tools into .venv (a few minutes the first time)"
.venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
.venv/bin/python -m pip install --quiet --editable '.[gui,cluster]' --group dev --group docs --group bundle
touch .venv/installed
