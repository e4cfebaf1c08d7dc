#!/usr/bin/env bash
# Train a recipe in parts, where a machine is at hand for minutes only; neither grain nor TensorFlow Datasets is needed:
#
#   bash benchmarks/train_in_parts.sh DATA STATE OUT SECONDS NAME [OPTION...]
#
# DATA is a folder of clean pictures, which are kept in device memory. STATE is what an earlier part left in OUT, or an
# empty folder. After SECONDS the training is asked to stop, saves, and OUT gets its state in pieces of 15 MB, to be the
# STATE of the next part; OPTIONs go to `restorax train`. When all steps are done, the pieces hold the finished entry.
set -euo pipefail
data=$1 state=$2 out=$3 seconds=$4 name=$5
shift 5

runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
if compgen -G "$state/$name.tar.*" > /dev/null; then
  cat "$state/$name".tar.* | tar x -C "$runs"
fi
# Exit code 124: the time was over and the training has saved.
timeout --signal=TERM --kill-after=120 "$seconds" python3 -m restorax train "$name" \
  --data "$data" --in-memory --workdir "$runs/$name" --keep 1 --save-every 1000 "$@" || [ $? -eq 124 ]
tar c -C "$runs" "$name" | split --bytes=15MB - "$out/$name.tar."
tail -n 1 "$runs/$name/log.jsonl"
