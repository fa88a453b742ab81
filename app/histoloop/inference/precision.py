"""In which numbers a network computes: single precision, or half of it where the processor or GPU is made for that."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

Precision = Literal["exact", "fast"]
"""'exact' is single precision throughout; 'fast' halves it where the device computes faster so."""

Numbers = Literal["float32", "bfloat16", "float16"]


def numbers_of(precision: Precision, device: torch.device) -> Numbers:
    """What a precision means on a device; 'fast' is the same as 'exact' where nothing is gained by less."""
    if precision == "exact":
        return "float32"
    if device.type == "cuda":
        return "float16"
    return "bfloat16" if device.type == "cpu" and has_bfloat16() else "float32"


@cache
def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 numbers itself (AVX-512 BF16 or AMX)."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


@contextmanager
def computing_in(numbers: Numbers, device: torch.device) -> Iterator[None]:
    """Have convolutions and products inside compute in these numbers; float32 is not rounded (TF32) on a GPU either."""
    with ExitStack() as stack:
        if numbers != "float32":
            stack.enter_context(torch.autocast(device.type, getattr(torch, numbers)))
        elif device.type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(allow_tf32=False))
        yield
