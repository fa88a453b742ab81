#!/usr/bin/env bash
# Installs dist/histoloop-*-linux-x86_64.tar.gz for a user with an empty home, twice (an upgrade), starts it, removes it,
# and compares the home with what it was.
set -euo pipefail
cd "$(dirname "$0")/../.."

shopt -s nullglob
packed=(dist/histoloop-*-linux-x86_64.tar.gz)
[ ${#packed[@]} = 1 ] || { echo "Expected one tar.gz in dist, found ${#packed[@]}. Run make tarball first." >&2; exit 1; }
work=$(mktemp -d "$PWD/build/tarball-test.XXXXXX")
trap 'rm -rf "$work"' EXIT
home=$work/home
mkdir -p "$home"
as_user() { env -i HOME="$home" PATH=/usr/bin:/bin LANG=C.UTF-8 "$@"; }

echo "== Unpacking ${packed[0]}"
tar -xzf "${packed[0]}" -C "$work"
source=$(find "$work" -maxdepth 1 -name 'histoloop-*' -type d)

for pass in first again; do
    echo "== Installing ($pass)"
    as_user "$source/install.sh"
done
rm -rf "$source"
as_user "$home/.local/bin/histoloop" --version
desktop-file-validate "$home"/.local/share/applications/*.desktop
grep -q "^Exec=\"$home/.local/bin/histoloop-gui\" %F$" "$home"/.local/share/applications/*.desktop

echo "== Running the loop and the window"
as_user "$home/.local/bin/histoloop" demo --rounds 1 --seed 0 --project "$home/Documents/HistoLoop/demo"
XDG_RUNTIME_DIR='' packaging/with_display.sh env -u PYTHONPATH HOME="$home" \
    timeout 300 "$home/.local/bin/histoloop" doctor

echo "== Removing"
as_user "$home/.local/lib/histoloop/uninstall.sh"
# the caches of the desktop's databases are not ours, nor is what other programs keep in .cache and .config
left=$(find "$home" \( -type f -o -type l \) -printf '%P\n' |
    grep -vE '^Documents/HistoLoop/|^\.local/state/histoloop/|^\.local/share/(histoloop/|mime/[^/]+$|applications/mimeinfo\.cache$)|^\.(cache|config)/' || true)
[ -z "$left" ] || { echo "Left behind:" >&2; echo "$left" >&2; exit 1; }
[ -f "$home/Documents/HistoLoop/demo/project.db" ] || { echo "The project is gone" >&2; exit 1; }
echo "Installed twice, started, removed; the project is still there."
