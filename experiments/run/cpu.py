"""Name of the processor, and its instructions that decide the speed of int8 and bf16."""

import os
import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
RELEVANT_FLAGS = (
    *("avx", "avx2", "fma", "avx512f"),
    *("avx512_vnni", "avx_vnni", "amx_int8"),
    *("avx512_bf16", "amx_bf16", "avx512_fp16", "amx_fp16"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),  # of ARM
)
VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""Instructions that add products of 8-bit numbers in 32 bits; older x86 processors do so in 16."""
WITHOUT_VNNI = frozenset({"SSE41", "AVX", "AVX2", "AVX512_CORE"})
"""Values of ONEDNN_MAX_CPU_ISA under which OpenVINO, too, takes a processor for an older one."""


def name() -> str:
    """Model name of the processor, or "unknown"."""
    return _entry("model name") or platform.processor() or "unknown"


def instructions() -> tuple[str, ...]:
    """The `RELEVANT_FLAGS` that the processor has; empty on systems other than Linux."""
    flags = set((_entry("flags") or _entry("Features") or "").split())
    return tuple(name for name in RELEVANT_FLAGS if name in flags)


def has_int8_dot_product() -> bool:
    """True if sums of 8-bit products cannot overflow: on an x86 processor only with VNNI instructions."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return True
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in WITHOUT_VNNI:
        return False
    return not VNNI.isdisjoint(instructions())


def _entry(key: str) -> str | None:
    """Entry of the first core."""
    try:
        text = CPUINFO.read_text()
    except OSError:
        return None
    match = re.search(rf"^{key}\s*:\s*(.*)$", text, re.MULTILINE)
    return match[1].strip() if match else None
