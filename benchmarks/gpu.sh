#!/usr/bin/env bash
# Train an entry on a GPU and run the most important suites within a time limit; all results are in OUT:
#
#   RESTORAX_COMMIT=$(git rev-parse --short HEAD) bash benchmarks/gpu.sh OUT [--data IMAGES [--start ENTRY] ...]
#
# Run it from the repository root. It ends within LIMIT (580) seconds. With --data, eight minutes are for the training;
# `python -m benchmarks.timed_training --help` describes its options. Without, all of the time is for the suites.
# With the same OUT again, the training continues from its entry. REHEARSAL=1 runs everything at small sizes on any
# device.
#
# It requires jax with its GPU plugin, etils, flax, jaxtyping, msgspec, optax, orbax-checkpoint, Pillow, rich,
# safetensors, scikit-image and typer, and PyTorch with CUDA for the comparison. `python -m benchmarks.record OUT` then
# adds the rows to benchmarks/results/.
set -euo pipefail
out=${1:?usage: bash benchmarks/gpu.sh OUT [--data IMAGES ...]} limit=${LIMIT:-580}
shift
mkdir -p "$out"
export RESTORAX_RESULTS=$out PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
export XLA_PYTHON_CLIENT_PREALLOCATE=false # leave memory to PyTorch
python3 -c 'import etils.epath, flax, jax, jaxtyping, msgspec, optax, orbax.checkpoint, PIL, rich, safetensors, skimage, typer'
if [ -z "${REHEARSAL:-}" ]; then
  python3 -c 'import jax; assert jax.default_backend() == "gpu", "JAX finds no GPU"'
fi

if [ $# -gt 0 ]; then
  # Two minutes are left for the suites, which yield to a training that takes longer than planned.
  small=()
  if [ -n "${REHEARSAL:-}" ]; then small=(--batch 2 --patch 64 --trial 4 --max-steps 20 --seconds 3600); fi
  timeout -k 20 $((limit - SECONDS - 30)) python3 -m benchmarks.timed_training \
    --out "$out" --seconds $((limit - SECONDS - 120)) "$@" ${small[@]+"${small[@]}"} || echo "training: exit code $?"
fi

suite() { # suite, arguments of its main
  local left=$((limit - SECONDS))
  if [ "$left" -lt 15 ]; then
    echo "no time left for $1($2)"
    return
  fi
  timeout -k 5 "$left" python3 -c "from benchmarks import $1; $1.main($2)" 2>&1 || echo "$1($2) failed or ran out of time"
}

if [ -n "${REHEARSAL:-}" ]; then
  suite throughput "name=['resunet_m'], dtype=['bfloat16'], compiled=False, quick=True"
  suite training "name=['resunet_m'], dtype=['bfloat16'], compiled=False, quick=True"
  exit
fi
python3 -c 'import torch; assert torch.cuda.is_available()' || echo "PyTorch finds no GPU: measuring JAX only"

# The most important first; torch.compile takes half a minute per size.
suite throughput "name=['resunet_m'], dtype=['bfloat16'], side=[256], batch=[32], tiled=False, seconds=2"
suite training "name=['resunet_m'], dtype=['bfloat16'], batch=32, patch=128, seconds=3"
suite throughput "name=['dncnn', 'nafnet'], dtype=['bfloat16'], side=[256], batch=[1, 32], seconds=2"
suite training "name=['dncnn', 'nafnet'], dtype=['bfloat16'], batch=32, patch=128, seconds=3"
suite training "name=['resunet_s-gray-noise'], batch=32, seconds=3"
suite scaling "part=['pixels', 'tiles', 'depth'], dtype='bfloat16', seconds=1"
suite throughput "compiled=False, seconds=1"
