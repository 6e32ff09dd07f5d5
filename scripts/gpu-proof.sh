#!/usr/bin/env bash
# All that can be shown of this package on a GPU, from a bare build of the core without Node:
#   1. every kernel compiles for every architecture (needs NVRTC, no GPU);
#   2. the kernels' own text on the CPU by fibres;
#   3. ops, families, editors and measurement on the GPU against the CPU (ctest -L gpu);
#   4. the same under compute-sanitizer, where it is installed;
#   5. the op bench on the GPU, fused against reference, as JSON lines.
# Needs cmake, g++, GoogleTest and a python3 that imports torch 2.10 to 2.14, or SEPROG_LIBTORCH=FOLDER.
# Usage: gpu-proof.sh [--device cuda:N] [--build FOLDER] [--jobs N]
# Ends with 0 where all that could run passed; without a GPU it says so, and 3 to 5 are not run.
set -euo pipefail
cd "$(dirname "$0")/.."

device=cuda:0
build=build/gpu
jobs=$(nproc)
while [ $# -gt 0 ]; do
  case "$1" in
    --device) device=$2; shift 2 ;;
    --build) build=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    *) echo "gpu-proof: expected --device, --build or --jobs but received $1" >&2; exit 2 ;;
  esac
done

say() { printf '\n== %s\n' "$*"; }
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
export SEPROG_TEST_DEVICE=$device

libtorch=${SEPROG_LIBTORCH:-$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')}
say "building against $libtorch"
generator=()
if [ ! -f "$build/CMakeCache.txt" ] && command -v ninja > /dev/null; then generator=(-G Ninja); fi
cmake -S . -B "$build" "${generator[@]}" -DSEPROG_LIBTORCH="$libtorch" -DSEPROG_TESTS=ON -DSEPROG_BENCH=ON
cmake --build "$build" --parallel "$jobs" \
  --target seprog_gpu_tests seprog_kernel_tests seprog_compile_kernels op_bench
programs=$build/native

# The compiler of kernels as pip lays it beside torch; a program without libtorch does not look there.
for nvrtc in "$libtorch"/../nvidia/cuda_nvrtc/lib/libnvrtc.so.12 "$libtorch"/../nvidia/cu13/lib/libnvrtc.so.13; do
  if [ -z "${SEPROG_NVRTC:-}" ] && [ -f "$nvrtc" ]; then export SEPROG_NVRTC=$nvrtc; fi
done

say "every kernel for every architecture"
status=0
"$programs/seprog_compile_kernels" || status=$?
[ $status -eq 0 ] || [ $status -eq 77 ]

say "the kernels on the CPU, by fibres"
"$programs/seprog_kernel_tests" --gtest_brief=1

say "what the GPU tests ask, of the CPU itself"
SEPROG_TEST_DEVICE=cpu "$programs/seprog_gpu_tests" --gtest_brief=1

say "on $device"
command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total --format=csv || true
status=0
"$programs/seprog_gpu_tests" --gtest_brief=1 || status=$?
if [ $status -eq 77 ]; then
  echo "gpu-proof: no device; nothing was shown of a GPU"
  exit 0
fi
[ $status -eq 0 ]

say "under compute-sanitizer"
if command -v compute-sanitizer > /dev/null; then
  for tool in memcheck racecheck; do
    compute-sanitizer --tool $tool --error-exitcode 9 "$programs/seprog_gpu_tests" --gtest_brief=1 --gtest_filter='GpuOps.*'
  done
else
  echo "compute-sanitizer is not installed; not run"
fi

say "fused against reference on $device"
"$programs/op_bench" --device "$device" --rounds 20
