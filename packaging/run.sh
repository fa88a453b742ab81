#!/usr/bin/env bash
# Opens the program on the demo project; without a display, runs the scripted tour on a virtual one.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || [ "$(uname -s)" != Linux ]; then
    exec .venv/bin/histoloop open --demo
fi
out=${HISTOLOOP_TOUR:-$PWD/tour}
echo "There is no display: running the scripted tour on a virtual one."
packaging/with_display.sh .venv/bin/histoloop tour --out "$out"
echo "Pictures of every step and the results (tour.json) are in $out"
