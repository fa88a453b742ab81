#!/bin/sh
# Removes what install.sh has laid down, and nothing else. Projects, settings and logs stay.
set -eu

prefix=${PREFIX:-$HOME/.local}
program=$prefix/lib/histoloop
share=$prefix/share

if [ ! -f "$program/INSTALLED" ]; then
    printf '%s\n' "There is no HistoLoop in $program (PREFIX names another place than ~/.local)." >&2
    exit 1
fi

while read -r name; do
    rm -f "$prefix/$name"
done <"$program/INSTALLED"

refresh() { if command -v "$1" >/dev/null 2>&1; then "$@" >/dev/null 2>&1 || true; fi; }
if [ -d "$share/mime/packages" ]; then refresh update-mime-database "$share/mime"; fi
if [ -d "$share/applications" ]; then refresh update-desktop-database "$share/applications"; fi
if [ -f "$share/icons/hicolor/icon-theme.cache" ]; then refresh gtk-update-icon-cache -q -t "$share/icons/hicolor"; fi

# Folders that are empty now, from the deepest up to but without the prefix; others refuse to go.
while read -r name; do
    folder=$(dirname -- "$name")
    while [ "$folder" != . ]; do
        rmdir "$prefix/$folder" 2>/dev/null || break
        folder=$(dirname -- "$folder")
    done
done <"$program/INSTALLED"
rm -rf "$program"
rmdir "$prefix/lib" 2>/dev/null || true

if [ -z "${HISTOLOOP_QUIET:-}" ]; then
    printf '%s\n' "HistoLoop is removed. Your projects and settings are still in ${HISTOLOOP_HOME:-Documents/HistoLoop and ${XDG_CONFIG_HOME:-$HOME/.config}/histoloop}."
fi
