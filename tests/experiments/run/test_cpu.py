"""The processor: what decides the rows of int8 and bf16 is read from what the system tells of it."""

import platform
from pathlib import Path

import pytest

from experiments.run import cpu

FILES = {
    "zen3": "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse2 avx avx2 fma avx512\n",
    "zen4": "model name : AMD EPYC 2\nflags : avx2 avx512f avx512_vnni avx512_bf16\n\nmodel name : 2nd\nflags : none\n",
    "alder lake": "model name : Intel\nflags : avx2 avx_vnni\n",
    "graviton": "Features : fp asimd asimddp i8mm bf16\n",
    "nothing": "",
}


@pytest.mark.parametrize(
    ("file", "machine", "instructions", "in_32_bits"),
    [
        ("zen3", "x86_64", ("avx", "avx2", "fma"), False),
        ("zen4", "x86_64", ("avx2", "avx512f", "avx512_vnni", "avx512_bf16"), True),
        ("alder lake", "AMD64", ("avx2", "avx_vnni"), True),
        ("graviton", "aarch64", ("asimd", "asimddp", "i8mm", "bf16"), True),
        ("nothing", "x86_64", (), False),
        (None, "x86_64", (), False),
        (None, "arm64", (), True),
    ],
)
def test_instructions_are_those_of_the_first_core(
    file: str | None,
    machine: str,
    instructions: tuple[str, ...],
    in_32_bits: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if file is not None:
        (tmp_path / "cpuinfo").write_text(FILES[file])
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    assert cpu.instructions() == instructions
    assert cpu.has_int8_dot_product() is in_32_bits
    names = {"zen3": "AMD EPYC", "zen4": "AMD EPYC 2", "alder lake": "Intel"}
    assert cpu.name() == names.get(str(file), "unknown")


@pytest.mark.parametrize(
    ("limit", "in_32_bits"), [("avx2", False), ("AVX512_CORE", False), ("AVX512_CORE_BF16", True), ("ALL", True)]
)
def test_a_processor_that_is_told_to_be_an_older_one_is_taken_for_it(
    limit: str, in_32_bits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(FILES["zen4"])
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert cpu.has_int8_dot_product() is in_32_bits
