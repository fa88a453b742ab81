#!/usr/bin/env bash
# Installs dist/histoloop_*_amd64.deb in a clean Debian root, starts it there, removes it, and looks at what is left.
#
# Wants root's rights, debootstrap, unshare, Xvfb and xwininfo. Environment:
#   SUITE=bookworm       Debian release of the root
#   MIRROR=              where debootstrap fetches it; its own choice when empty
#   TOUR=yes             'no' leaves out the scripted tour of the window, the longest part
#   KEEP_ROOT=no         'yes' leaves the root in build/deb-root
# Writes build/deb-report.md, and the tour's pictures to build/deb-tour.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "$(id -u)" != 0 ]; then
    echo "A clean root is made with root's rights: sudo make deb-test" >&2
    exit 1
fi
if [ -z "${HISTOLOOP_OWN_MOUNTS:-}" ]; then  # what is mounted from here on ends with this script
    exec unshare --mount --propagation private env HISTOLOOP_OWN_MOUNTS=yes "$0" "$@"
fi

suite=${SUITE:-bookworm}
root=$PWD/build/deb-root
report=$PWD/build/deb-report.md
user=pathologist
home=/home/$user

say() { printf '\n== %s\n' "$*"; }
fail() { printf '\n%s\n' "$*" >&2; exit 1; }

shopt -s nullglob
packages=("$PWD"/dist/histoloop_*_amd64.deb)
[ ${#packages[@]} = 1 ] || fail "Expected one .deb in dist, found ${#packages[@]}. Run make deb first."
deb=${packages[0]}

server=''
clean_up() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    for mounted in tmp/.X11-unix dev proc; do
        if mountpoint -q "$root/$mounted"; then umount --recursive "$root/$mounted"; fi
    done
    if [ "${KEEP_ROOT:-no}" != yes ]; then rm -rf --one-file-system "$root"; fi
}
trap clean_up EXIT

in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }

# Everything there is, but for what changes whenever packages come and go.
listing() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./tmp -o -path ./home -o -path ./var/cache \
        -o -path ./var/log -o -path ./var/lib/apt -o -path ./var/lib/dpkg \) -prune -o -print) | LC_ALL=C sort
}

declare -A took
timed() {  # timed NAME COMMAND...: seconds to took[NAME]
    local name=$1 begun=$EPOCHREALTIME
    shift
    "$@"
    took[$name]=$(seconds_since "$begun")
}
seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

say "A clean root: Debian $suite"
rm -rf --one-file-system "$root"
mkdir -p build
debootstrap --variant=minbase "$suite" "$root" ${MIRROR:+"$MIRROR"} >build/debootstrap.log
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cp /etc/resolv.conf "$root/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"  # no services in a root that is no machine
chmod +x "$root/usr/sbin/policy-rc.d"
in_root useradd --create-home "$user"
in_root apt-get update -q
before=$(mktemp)
listing >"$before"

say "Installing the package, with what it depends on and nothing it only recommends"
ln "$deb" "$root/tmp/histoloop.deb" 2>/dev/null || cp "$deb" "$root/tmp/histoloop.deb"
timed install in_root apt-get install -y -q --no-install-recommends /tmp/histoloop.deb
rm "$root/tmp/histoloop.deb"
# shellcheck disable=SC2016 # dpkg-query's own variables
depends=$(in_root dpkg-query -W -f '${Package}\n' | wc -l)
# shellcheck disable=SC2016
size_kib=$(in_root dpkg-query -W -f '${Installed-Size}' histoloop)
[ -z "$(in_root dpkg --verify histoloop)" ] || fail "The installed files are not those of the package."

say "Starting it: version, doctor, the loop"
number=$(mktemp)
Xvfb -displayfd 3 -screen 0 1600x1000x24 -nolisten tcp -noreset >/dev/null 2>&1 3>"$number" &
server=$!
for _ in $(seq 100); do [ -s "$number" ] && break; sleep 0.1; done
[ -s "$number" ] || fail "The virtual display (Xvfb) did not start."
display=:$(cat "$number")
rm "$number"
mkdir -p "$root/tmp/.X11-unix"
mount --bind /tmp/.X11-unix "$root/tmp/.X11-unix"

# As a user who has nothing but the package, on a machine without a network.
as_user=(unshare --net chroot "--userspec=$user:$user" "$root" env -i "HOME=$home" "USER=$user" PATH=/usr/bin:/bin
    LANG=C.UTF-8 LIBGL_ALWAYS_SOFTWARE=1 "DISPLAY=$display" QT_QPA_PLATFORM=xcb)
timed version "${as_user[@]}" histoloop --version
timed doctor "${as_user[@]}" histoloop doctor
timed demo "${as_user[@]}" histoloop demo --rounds 1 --seed 0 --project "$home/demo"
[ -f "$root$home/demo/project.histoloop" ] || fail "The project has no file to double-click."

say "Opening the project's file in the window"
window_of() { LC_ALL=C.UTF-8 DISPLAY=$display xwininfo -root -tree | grep -F "$1" || true; }
begun=$EPOCHREALTIME
"${as_user[@]}" histoloop-gui "$home/demo/project.histoloop" >build/deb-window.log 2>&1 &
window=$!
for _ in $(seq 1200); do
    [ -n "$(window_of 'Demo — HistoLoop')" ] && break
    kill -0 "$window" 2>/dev/null || { cat build/deb-window.log >&2; fail "The window ended before it was there."; }
    sleep 0.1
done
[ -n "$(window_of 'Demo — HistoLoop')" ] || { cat build/deb-window.log >&2; fail "No window of the project in two minutes."; }
took[window]=$(seconds_since "$begun")
if grep -E 'Fontconfig error|xkbcommon: ERROR|Could not load the Qt platform' build/deb-window.log; then
    fail "The window lacks something of the system: a package is missing from Depends."
fi
kill -INT "$window"
wait "$window" || true

took[tour]='not run:'
if [ "${TOUR:-yes}" = yes ]; then
    say "The scripted tour"
    timed tour "${as_user[@]}" histoloop tour --out "$home/tour"
    rm -rf build/deb-tour
    cp -r "$root$home/tour" build/deb-tour
fi

say "What the desktop knows of it"
in_root apt-get install -y -q --no-install-recommends shared-mime-info desktop-file-utils
in_root apt-mark auto shared-mime-info desktop-file-utils >/dev/null
for extension in histoloop svs ndpi mrxs scn; do
    grep -q ":\*\.$extension$" "$root/usr/share/mime/globs2" || fail "The MIME database does not know .$extension"
done
for type in application/x-histoloop-project image/x-aperio-svs image/tiff; do
    grep -q "^$type=.*org.histoloop.HistoLoop.desktop" "$root/usr/share/applications/mimeinfo.cache" ||
        fail "HistoLoop is not offered for $type"
done

say "Removing it"
work=$(cd "$root$home" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
timed remove in_root apt-get purge -y -q histoloop
if grep -q histoloop "$root/usr/share/mime/globs2" "$root/usr/share/applications/mimeinfo.cache"; then
    fail "The desktop still knows of it."
fi
in_root apt-get autoremove --purge -y -q
[ "$work" = "$(cd "$root$home" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)" ] ||
    fail "Something in the user's home has changed."
[ -f "$root$home/demo/project.db" ] || fail "The project is gone."
after=$(mktemp)
listing >"$after"
left=$(comm -13 "$before" "$after")
rm "$before" "$after"
[ -z "$left" ] || fail "Left behind:
$left"
kept=$(cd "$root$home" && find . -type f | wc -l)

cat >"$report" <<END
| what | figure |
|---|---|
| package | $(stat -c %s "$deb" | awk '{ printf "%.0f MB", $1 / 1e6 }') |
| installed | $(awk -v k="$size_kib" 'BEGIN { printf "%.0f MB", k * 1024 / 1e6 }') |
| root | Debian $suite, $depends packages with it and what it depends on |
| apt-get install | ${took[install]} s |
| histoloop --version | ${took[version]} s |
| histoloop doctor | ${took[doctor]} s |
| histoloop demo --rounds 1 --seed 0 | ${took[demo]} s |
| histoloop-gui on that project, until its window is there | ${took[window]} s |
| histoloop tour | ${took[tour]} s |
| apt-get purge | ${took[remove]} s |
| left in the system | nothing |
| left of the user's | all $kept files, unchanged |
END
say "Installed, started, removed; all of the user's work is still there. Figures: $report"
cat "$report"
