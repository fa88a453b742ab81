from __future__ import annotations

import pytest

from histoloop.annotations.records import ClassScheme, LabelClass, MaskClass


@pytest.fixture(scope="session")
def scheme() -> ClassScheme:
    return ClassScheme(
        labels=(LabelClass("Normal", "gland"), LabelClass("Polyp", "gland"), LabelClass("Cancer", "tumour")),
        masks=(MaskClass("gland", "#00a0ff"), MaskClass("tumour", "#d01020")),
    )
