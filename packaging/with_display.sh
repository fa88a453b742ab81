#!/usr/bin/env bash
# Runs a command with a display: the one there is, or a virtual one of its own for as long as the command runs.
set -euo pipefail

if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || [ "$(uname -s)" != Linux ]; then
    exec "$@"
fi

number=$(mktemp)
Xvfb -displayfd 3 -screen 0 1600x1000x24 -nolisten tcp -noreset >/dev/null 2>&1 3>"$number" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -f "$number"' EXIT
for _ in $(seq 100); do
    [ -s "$number" ] && break
    kill -0 "$server" 2>/dev/null || { echo "The virtual display (Xvfb) did not start." >&2; exit 1; }
    sleep 0.1
done
[ -s "$number" ] || { echo "The virtual display (Xvfb) did not start in 10 seconds." >&2; exit 1; }
DISPLAY=":$(cat "$number")" QT_QPA_PLATFORM=xcb LIBGL_ALWAYS_SOFTWARE=1 "$@"
