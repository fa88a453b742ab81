#!/bin/bash
# dist/HistoLoop.app to dist/histoloop-VERSION-macos-ARCH.dmg, signed and notarised when the secrets are there.
# Run on macOS from anywhere, after `make bundle` and `python -m installers macos`. Environment:
#   SIGNING_IDENTITY    'Developer ID Application: NAME (TEAM)'; without it the app is signed for this machine only
#   NOTARY_KEY          file of the App Store Connect API key (.p8)     } all three, or the picture is not notarised
#   NOTARY_KEY_ID       its ID                                          }
#   NOTARY_ISSUER       its issuer's ID                                 }
set -euo pipefail
cd "$(dirname "$0")/../.."

app=dist/HistoLoop.app
[ -d "$app" ] || { echo "There is no $app. Run make bundle first." >&2; exit 1; }
version=$(/usr/libexec/PlistBuddy -c 'Print :CFBundleShortVersionString' "$app/Contents/Info.plist")
dmg=dist/histoloop-$version-macos-$(uname -m).dmg
entitlements=packaging/macos/entitlements.plist

# --- sign: from the inside out, libraries first, then the programs, then the bundle --------------------------------
identity=${SIGNING_IDENTITY:--}
options=(--force --sign "$identity")
if [ "$identity" != - ]; then
    options+=(--timestamp --options runtime)
fi
find "$app/Contents" -type f \( -name '*.dylib' -o -name '*.so' \) -print0 |
    xargs -0 -n 50 codesign "${options[@]}"
for program in "$app"/Contents/MacOS/*; do
    if file -b "$program" | grep -q Mach-O; then
        codesign "${options[@]}" --entitlements "$entitlements" "$program"
    fi
done
codesign "${options[@]}" --entitlements "$entitlements" "$app"
codesign --verify --deep --strict "$app"

# --- the picture: the app beside a link to where apps go -----------------------------------------------------------
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
cp -R "$app" "$stage/"
ln -s /Applications "$stage/Applications"
rm -f "$dmg"
hdiutil create -volname "HistoLoop $version" -srcfolder "$stage" -fs HFS+ -format ULFO -ov "$dmg"

# --- notarise: Apple looks at it, and the answer is stapled to the picture -----------------------------------------
if [ "$identity" != - ]; then
    codesign --force --sign "$identity" --timestamp "$dmg"
fi
if [ -n "${NOTARY_KEY:-}" ]; then
    xcrun notarytool submit "$dmg" --key "$NOTARY_KEY" --key-id "$NOTARY_KEY_ID" --issuer "$NOTARY_ISSUER" --wait
    xcrun stapler staple "$dmg"
    spctl --assess --type open --context context:primary-signature --verbose "$dmg"
else
    echo "NOTARY_KEY is not set: the picture is not notarised, and macOS will ask before it opens."
fi
echo "$dmg"
