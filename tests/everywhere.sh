#!/usr/bin/env bash
# Run the tests as other processors, another torch, more threads and other orders would have them, and on every backbone.
#
#     tests/everywhere.sh                               every setting: a whole run of the tests each, some five minutes
#     tests/everywhere.sh onednn-sse41 order-1          these settings
#     tests/everywhere.sh order-1 -- tests/model -x     with these arguments for pytest
#
# Prints a line per setting: its name, how many tests passed, failed and were skipped, and the seconds it took; where one
# failed, the file that holds what pytest said. Exits with 1 if any failed. Without the instructions that a setting is
# about there is nothing to run, and its line says so.
#
# PYTHON is the interpreter (.venv/bin/python, which `make test` makes). OLDEST is a virtual environment with the oldest
# torch that setup.cfg allows (.venv-oldest); it is made where it is missing, which takes minutes and 6 GB.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

PYTHON=${PYTHON:-.venv/bin/python}
OLDEST=${OLDEST:-.venv-oldest}
WORKERS=${WORKERS:-auto}

# All that numpy chooses by the processor: disabling what the processor lacks changes nothing.
NUMPY=X86_V3,X86_V4,AVX512_ICL,AVX512_SPR

# name | environment | instruction set that it needs, as /proc/cpuinfo names it | arguments for pytest
SETTINGS="
plain              |                                      |             |
onednn-sse41       | ONEDNN_MAX_CPU_ISA=SSE41             | sse4_1      |
onednn-avx2        | ONEDNN_MAX_CPU_ISA=AVX2              | avx2        |
onednn-avx512      | ONEDNN_MAX_CPU_ISA=AVX512_CORE       | avx512bw    |
onednn-avx512-bf16 | ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16  | avx512_bf16 |
aten-default       | ATEN_CPU_CAPABILITY=default          |             |
aten-avx2          | ATEN_CPU_CAPABILITY=avx2             | avx2        |
numpy-baseline     | NPY_DISABLE_CPU_FEATURES=$NUMPY      |             |
mkl-compatible     | MKL_CBWR=COMPATIBLE                  |             |
threads-2          | OMP_NUM_THREADS=2                    |             |
trunk-bf16         | TESTS_TRUNK=bf16                     |             |
every-backbone     | TESTS_BACKBONES=every                |             |
torch-oldest       |                                      |             |
order-1            |                                      |             | --random-order --random-order-seed=1
order-2            |                                      |             | --random-order --random-order-seed=2
order-3            |                                      |             | --random-order --random-order-seed=3
"

names() { awk -F'|' 'NF > 1 { gsub(/ /, "", $1); print $1 }' <<<"$SETTINGS"; }
column() { awk -F'|' -v name="$1" -v n="$2" '$1 ~ "^" name " *$" { gsub(/^ +| +$/, "", $n); print $n }' <<<"$SETTINGS"; }

# The numbers before these words in pytest's last line, added up: 0 where it names none.
count() { tail -n 1 "$1" | grep -oE "[0-9]+ ($2)" | awk '{ sum += $1 } END { print sum + 0 }'; }

make_oldest() {
    [ -e "$OLDEST/.installed" ] && return
    echo "making $OLDEST with torch 2.11: a few minutes" >&2
    "$PYTHON" -m venv "$OLDEST" &&
        "$OLDEST/bin/python" -m pip install -qq 'torch==2.11.*' 'torchvision==0.26.*' --editable '.[test]' &&
        touch "$OLDEST/.installed"
}

# Run the tests in one setting and print its line.
run() {
    local name=$1 python=$PYTHON start=$SECONDS log status
    local -a environment words
    shift
    read -ra environment <<<"$(column "$name" 2)"
    read -ra words <<<"$(column "$name" 4)"
    if ! grep -qw -- "$(column "$name" 3)" /proc/cpuinfo; then
        printf '%-19snot here: the processor has no %s\n' "$name" "$(column "$name" 3)"
        return 0
    fi
    if [ "$name" = torch-oldest ]; then
        make_oldest || return
        python=$OLDEST/bin/python
    fi
    log=$(mktemp "${TMPDIR:-/tmp}/$name-XXXXXX.log")
    env OMP_NUM_THREADS=1 "${environment[@]}" "$python" -m pytest --numprocesses "$WORKERS" --maxprocesses 8 \
        --dist loadfile "${words[@]}" "$@" >"$log" 2>&1
    status=$?
    printf '%-19s%5d passed, %d failed, %d skipped, %d s' "$name" "$(count "$log" passed)" \
        "$(count "$log" 'failed|error')" "$(count "$log" skipped)" "$((SECONDS - start))"
    if [ "$status" = 0 ]; then
        rm "$log"
        echo
    else
        echo " — $log"
    fi
    return "$status"
}

wanted=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    if ! names | grep -qxF -- "$1"; then
        echo "error: no setting $1: take $(names | paste -sd' ')" >&2
        exit 2
    fi
    wanted+=("$1")
    shift
done
[ $# -gt 0 ] && shift
[ ${#wanted[@]} -eq 0 ] && mapfile -t wanted < <(names)

failed=0
for name in "${wanted[@]}"; do
    run "$name" "$@" || failed=1
done
exit $failed
