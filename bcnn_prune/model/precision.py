"""fp32 that is fp32 on every device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def true_fp32() -> Iterator[None]:
    """Without TF32, which cuDNN takes for fp32 convolutions unless told otherwise and which keeps three digits.

    What is compared with a network on a CPU, or with another network to rounding, is computed in here."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before
