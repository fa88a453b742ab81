#!/usr/bin/env bash
# Installs the newest wheel into a fresh environment and uses it as a stranger would: away from the source tree, with
# an empty home. Dependencies are those of the interpreter named, so that nothing large is downloaded.
#
#     packaging/wheel_test.sh PYTHON FOLDER_OF_WHEELS
set -euo pipefail

python=$(realpath -s "$1")
wheel=$(realpath "$(ls -t "$2"/histoloop-*.whl | head -n 1)")
docs=$(realpath "$(dirname "$0")/../docs")
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

say() { printf '\n== %s\n' "$*"; }

say "Installing $(basename "$wheel") into a fresh environment"
"$python" -m venv "$room/venv"
here="$room/venv/bin/python"
"$here" -m pip install --quiet --no-index --no-deps "$wheel"
packages=$("$here" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# After the wheel's own folder on the path; a .pth that is read would also run the editable install of this checkout.
borrowed=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "import site, sys; sys.path.append('$borrowed')" > "$packages/borrowed.pth"

export HOME="$room/home" HISTOLOOP_HOME="$room/home/data" NAPARI_CONFIG="$room/home/napari.yaml"
unset PYTHONPATH VIRTUAL_ENV
mkdir -p "$HOME"
cd "$room"

say "The package is the installed one, with its data"
"$here" - "$packages" <<'PYTHON'
import re
import sys
from importlib import metadata
from pathlib import Path

import histoloop
from histoloop import language, paths

packages = Path(sys.argv[1]).resolve()
assert Path(histoloop.__file__).resolve().is_relative_to(packages), histoloop.__file__
for there in ("py.typed", "__init__.pyi", "napari.yaml"):
    assert (packages / "histoloop" / there).is_file(), there
assert paths.resources().is_relative_to(packages) and (paths.resources() / "styles/histoloop.qss").is_file()
assert all(language.speak(each.code) is each for each in language.LANGUAGES)
assert not set(sys.modules) & {"torch", "PySide6", "numpy"}
(plugin,) = [point for point in metadata.entry_points(group="napari.manifest") if point.dist.name == "histoloop"]
assert plugin.value == "histoloop:napari.yaml", plugin
assert metadata.version("histoloop") == histoloop.__version__
page = metadata.metadata("histoloop").get_payload() or metadata.metadata("histoloop")["Description"]
assert "Research use only" in page and "## The loop" in page
assert not re.search(r"\]\((?!https:)", page), "the page of the package has links that lead nowhere"
PYTHON

say "Commands"
"$room/venv/bin/histoloop" --version
"$room/venv/bin/histoloop" recipes | grep -q '^glas-min-max$'
"$room/venv/bin/histoloop" doctor

"$here" - <<'PYTHON'
from pathlib import Path

from histoloop import finish
from histoloop.slides.synthetic import SyntheticSpec, write_synthetic_slide

finish(write_synthetic_slide(Path("demo.tiff"), SyntheticSpec(seed=0, width=1200, height=900, mpp=0.5, label="malignant")))
PYTHON

say "The examples of docs/python.md, and a prediction from the command line"
"$here" - "$docs/python.md" <<'PYTHON'
import re
import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text(encoding="utf-8")
for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
    exec(compile(block, sys.argv[1], "exec"))
PYTHON
"$room/venv/bin/histoloop" predict demo.tiff --out out --device cpu
test -s out/demo.geojson && test -s out/demo-mask.png && test -s out/summary.csv

say "Types"
cat > typed.py <<'PYTHON'
import histoloop

with histoloop.open_slide("demo.tiff") as slide:
    predicted = histoloop.finish(histoloop.predict_slide(slide, histoloop.open_model()))
reveal_type(predicted.downsample)
histoloop.open_slide(3)
PYTHON
said=$("$here" -m mypy --cache-dir "$room/mypy" --ignore-missing-imports --follow-imports silent typed.py || true)
echo "$said"
grep -q 'Revealed type is "float"\|Revealed type is "builtins.float"' <<<"$said"
grep -q 'typed.py:6: error: Argument 1 to "open_slide" has incompatible type "int"' <<<"$said"

say "The manifest for napari"
"$here" -m npe2 validate histoloop

say "The wheel works: $(basename "$wheel"), $(du -h "$wheel" | cut -f1)"
