#!/usr/bin/env bash
# Run the most important suites on a GPU within a time limit; all results so far are in OUT when the time is over:
#
#   RESTORAX_COMMIT=$(git rev-parse --short HEAD) bash benchmarks/gpu.sh OUT [SECONDS]
#
# Run it from the repository root. It takes at most SECONDS (470) and requires jax with its GPU plugin, flax, optax,
# jaxtyping, safetensors and Pillow, and PyTorch with CUDA for the comparison. `python -m benchmarks.record OUT` then
# adds the rows to benchmarks/results/.
set -euo pipefail
out=$1 limit=${2:-470}
mkdir -p "$out"
export RESTORAX_RESULTS=$out PYTHONPATH=$PWD PYTHONUNBUFFERED=1
export XLA_PYTHON_CLIENT_PREALLOCATE=false # leave memory to PyTorch
python3 -c 'import flax, jax, jaxtyping, optax, PIL, safetensors; assert jax.default_backend() == "gpu", "JAX finds no GPU"'
python3 -c 'import torch; assert torch.cuda.is_available()' || echo "PyTorch finds no GPU: measuring JAX only"

suite() { # suite, arguments of its main
  local left=$((limit - SECONDS))
  if [ "$left" -lt 15 ]; then
    echo "no time left for $1($2)"
    return
  fi
  timeout "$left" python3 -c "from benchmarks import $1; $1.main($2)" 2>&1 | tee -a "$out/log.txt" || echo "$1($2) failed or ran out of time"
}

# The most important first; torch.compile takes half a minute per size.
suite throughput "name=['dncnn', 'nafnet'], dtype=['bfloat16'], side=[256], batch=[1, 32], seconds=2"
suite training "name=['dncnn', 'nafnet'], dtype=['bfloat16'], batch=32, patch=128, seconds=3"
suite training "name=['resunet_s-gray-noise'], batch=32, seconds=3"
suite scaling "part=['pixels', 'tiles', 'depth'], dtype='bfloat16', seconds=1"
suite throughput "compiled=False, seconds=1"
