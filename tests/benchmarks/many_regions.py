"""k-center and label propagation on many regions: CPU seconds, peak memory, and whether the picks are the exact ones.

    python tests/benchmarks/many_regions.py k-center REGIONS [exact]
    python tests/benchmarks/many_regions.py propagation REGIONS [exact]
    python tests/benchmarks/many_regions.py table [--write] [--again]

Regions are samples in clusters, with embeddings of 512 features or colour histograms; 40 of them are annotated, and 20
are picked. With `exact` the distances of before are computed too (for propagation that is a matrix of REGIONS squared).
Prints JSON. `table` takes 1,000 regions with the exact ones beside, and 100,000; with `--write` it goes into
docs/performance.md.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from bench.measured import Kept, run_measured, show, table

FEATURES, CLUSTERS, CLASSES = 512, 500, 5
ANNOTATED, PICKS = 40, 20
FEW, MANY = 1_000, 100_000


def k_center(count: int, *, exact: bool) -> dict[str, object]:
    """By estimates, and by exact distances."""
    from histoloop.acquisition.selection import select_setwise
    from histoloop.acquisition.strategies.coreset import CoverDistance, LargeCoverDistance

    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((CLUSTERS, FEATURES)).astype(np.float32)
    pool = kinds[np.arange(count) % CLUSTERS] + 0.5 * rng.standard_normal((count, FEATURES)).astype(np.float32)
    classes = [f"class {number % CLASSES}" for number in range(count)]
    found, picks = {}, {}
    for name, kind in (("estimated", LargeCoverDistance), *((("exact", CoverDistance),) if exact else ())):
        began = time.process_time()
        picks[name] = select_setwise(kind(pool[:ANNOTATED], pool), classes, count=PICKS)
        found[f"{name}_s"] = round(time.process_time() - began, 2)
    return {**found, **({"same": picks["estimated"] == picks["exact"]} if exact else {})}


def propagation(count: int, *, exact: bool) -> dict[str, object]:
    """Without the matrix of distances, and with it."""
    from histoloop.acquisition.propagation import (
        capped_k,
        distance_matrix,
        nearest_annotated,
        nearest_annotated_by_colour,
    )

    rng = np.random.default_rng(0)
    kinds = rng.dirichlet(np.full(256, 0.3), (CLUSTERS, 3))
    histograms = np.empty((count, 3, 256), np.float32)
    for number in range(count):
        histograms[number] = rng.multinomial(147_456, kinds[number % CLUSTERS]) / 147_456
    classes = [f"class {number % CLASSES}" for number in range(count)]
    annotated = range(ANNOTATED)
    k = capped_k(Counter(classes), Counter(classes[:ANNOTATED]))
    began = time.process_time()
    regions = nearest_annotated_by_colour(histograms, classes, annotated, k=k)
    found: dict[str, object] = {"s": round(time.process_time() - began, 2), "taken_in": len(regions)}
    if exact:
        began = time.process_time()
        same = nearest_annotated(distance_matrix(histograms, classes), classes, annotated, k=k) == regions
        found |= {"exact_s": round(time.process_time() - began, 2), "same": same}
    return found


def written_table(*, again: bool) -> str:
    """CPU seconds and memory of both, for few and for many regions."""
    kept, rows = Kept("many_regions", again=again), []
    for what in ("k-center", "propagation"):
        for regions, exact in ((FEW, True), (MANY, False)):
            name = f"{what} {regions}"
            found = kept.get(name, lambda given=(what, regions), exact=exact: measured(*given, exact=exact))
            seconds = found["estimated_s" if what == "k-center" else "s"]
            before = f"{found['exact_s']:.1f}" if exact else "-"
            same = {True: "yes", False: "no"}[found["same"]] if exact else "-"
            rows.append([what, f"{regions:,}", f"{seconds:.1f}", before, same, f"{found['peak_mb']:,}"])
    return table(["what", "regions", "CPU s", "with all distances, CPU s", "the same", "peak MB"], rows)


def measured(what: str, regions: int, *, exact: bool) -> dict[str, object]:
    """One of them in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        spent = run_measured([__file__, what, str(regions), *(["exact"] if exact else [])], home=Path(home))
    found: dict[str, object] = json.loads(spent.printed)
    return found


def main() -> None:
    """Measure what the command line asks for."""
    if sys.argv[1] == "table":
        show("many regions", written_table(again="--again" in sys.argv), write="--write" in sys.argv)
        return
    what, regions = {"k-center": k_center, "propagation": propagation}[sys.argv[1]], int(sys.argv[2])
    result = what(regions, exact="exact" in sys.argv[3:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"regions": regions, **result, "peak_mb": round(peak)}))


if __name__ == "__main__":
    main()
