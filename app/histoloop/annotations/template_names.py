"""What the sets of classes are called that a project may begin with: apart from them, so that help loads no arrays."""

from __future__ import annotations

from histoloop.language import mark

TEMPLATE_NAMES = (
    mark("gland and tumour"),
    mark("tumour, stroma, necrosis, inflammation"),
    mark("metastasis and lymphoid tissue"),
)
