#!/bin/bash
# Opens the disk picture in dist/, copies the app out, starts it, and removes it. Run on macOS from anywhere.
set -euo pipefail
cd "$(dirname "$0")/../.."

dmg=$(find dist -name 'histoloop-*-macos-*.dmg' -print -quit)
[ -n "$dmg" ] || { echo "There is no disk picture in dist. Run packaging/macos/make_dmg.sh first." >&2; exit 1; }
work=$(mktemp -d)
trap 'hdiutil detach "$work/mounted" -quiet 2>/dev/null || true; rm -rf "$work"' EXIT
hdiutil attach "$dmg" -mountpoint "$work/mounted" -nobrowse -readonly -quiet
cp -R "$work/mounted/HistoLoop.app" "$work/"
hdiutil detach "$work/mounted" -quiet

app=$work/HistoLoop.app
plutil -lint "$app/Contents/Info.plist"
codesign --verify --deep --strict "$app"
for extension in histoloop svs ndpi mrxs scn; do
    plutil -convert json -o - "$app/Contents/Info.plist" | grep -q "\"$extension\"" ||
        { echo "Info.plist does not name .$extension" >&2; exit 1; }
done

export HISTOLOOP_HOME=$work/home
"$app/Contents/MacOS/histoloop" doctor --json
"$app/Contents/MacOS/histoloop" demo --rounds 1 --seed 0 --project "$work/home/demo"
"$app/Contents/MacOS/histoloop" tour --out "$work/tour"
rm -rf "$app"
[ -f "$work/home/demo/project.db" ] || { echo "The project is gone" >&2; exit 1; }
echo "Opened, started, removed; the project is still there."
