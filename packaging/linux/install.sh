#!/bin/sh
# Installs HistoLoop for the current user, without administrator's rights:
#   ~/.local/lib/histoloop   the program
#   ~/.local/bin             links to its two commands
#   ~/.local/share           menu entry, icons, file types, man pages
# PREFIX=/some/folder ./install.sh takes that folder in place of ~/.local. An installation that is there is replaced.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=${PREFIX:-$HOME/.local}
program=$prefix/lib/histoloop
share=$prefix/share

say() { printf '%s\n' "$*"; }

case $prefix in
    /*) ;;
    *) say "PREFIX must be a whole path, not $prefix." >&2; exit 2 ;;
esac
if [ "$(uname -s)" != Linux ] || [ "$(uname -m)" != x86_64 ]; then
    say "This is the program for Linux on x86_64; here is $(uname -s) on $(uname -m)." >&2
    exit 1
fi

# --- libraries of the system that the program needs: said, not fetched ---------------------------------------------
known=$( (ldconfig -p || /sbin/ldconfig -p || /usr/sbin/ldconfig -p) 2>/dev/null || true)
if [ -n "$known" ]; then
    missing=''
    while read -r soname; do
        case $known in
            *"$soname "*) ;;
            *) missing="$missing $soname" ;;
        esac
    done <"$here/libraries.txt"
    if [ -n "$missing" ]; then
        say "HistoLoop will not start before these libraries are installed with the system's package manager:" >&2
        say "   $missing" >&2
    fi
fi

# --- the program: laid down beside, then put in place of the one that was there ------------------------------------
if [ -e "$program" ] && [ ! -f "$program/INSTALLED" ]; then
    say "$program is there and was not put there by this script. Move it away, then try again." >&2
    exit 1
fi
mkdir -p "$prefix/lib"
fresh=$prefix/lib/.histoloop.$$
trap 'rm -rf "$fresh"' EXIT
say "Copying the program to $program"
cp -a "$here/program" "$fresh"
cp "$here/uninstall.sh" "$here/LICENSE" "$fresh/"
cp -a "$here/licences" "$fresh/"

# What is laid outside of the program's folder, for uninstall.sh; the same names every time.
{
    printf '%s\n' bin/histoloop bin/histoloop-gui
    (cd "$here" && find share -type f | LC_ALL=C sort)
} >"$fresh/INSTALLED"

if [ -e "$program" ]; then
    PREFIX=$prefix HISTOLOOP_QUIET=1 sh "$program/uninstall.sh"
fi
mv "$fresh" "$program"

# --- commands, menu entry, icons, file types, man pages -------------------------------------------------------------
mkdir -p "$prefix/bin" "$share"
for command in histoloop histoloop-gui; do
    ln -sf "../lib/histoloop/$command" "$prefix/bin/$command"
done
(cd "$here" && find share -type d) | while read -r folder; do mkdir -p "$prefix/$folder"; done
(cd "$here" && find share -type f) | while read -r file; do cp "$here/$file" "$prefix/$file"; done

# The menu knows nothing of the user's PATH. In a menu entry a path with spaces and the like stands in quotes, and
# backslashes are escaped once for the quotes and once for the file.
escaped=$(printf '%s' "$prefix/bin" | sed -e 's/[\\"`$]/\\&/g' -e 's/\\/\\\\/g' -e 's/%/%%/g' -e 's/[&|\\]/\\&/g')
for entry in "$share"/applications/org.histoloop.*.desktop; do
    sed -i -e "s|^Exec=@BIN@/\([a-z-]*\)|Exec=\"$escaped/\1\"|" "$entry"
done

refresh() { if command -v "$1" >/dev/null 2>&1; then "$@" >/dev/null 2>&1 || true; fi; }
refresh update-mime-database "$share/mime"
refresh update-desktop-database "$share/applications"
touch "$share/icons/hicolor"
if [ -f "$share/icons/hicolor/icon-theme.cache" ]; then refresh gtk-update-icon-cache -q -t "$share/icons/hicolor"; fi

say "HistoLoop is installed. Start it from the menu, or type: $prefix/bin/histoloop-gui"
case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *) say "($prefix/bin is not on your PATH; many systems add it at the next login.)" ;;
esac
say "To remove it: $program/uninstall.sh"
