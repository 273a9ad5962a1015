#!/bin/sh
# Retrain flashweb-nano from nothing: fonts and words, training, export into the package, scores.
#   training/run.sh [MINUTES] [more flags of training.train, such as --init FOLDER --peak 0.5]
# Needs a CUDA GPU and about 16 CPU cores to draw pages; uses all GPUs it finds, each of which wants as many cores.
# The scores take a quarter of an hour of CPU; VERIFY="--limit 2" asks two cases of each set.
# The shipped model took about 90 minutes of one H200 in all, most of them on two at once.
set -eu
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
MINUTES="${1:-60}"
[ $# -gt 0 ] && shift
export TRAINING_FONTS="${TRAINING_FONTS:-$PWD/.scratch/fonts}"
[ -e "$TRAINING_FONTS/fonts.json" ] || "$PYTHON" -m training.fonts "$TRAINING_FONTS"
OUT="${OUT:-.scratch/run}"
GPUS="$("$PYTHON" -c 'import torch; print(torch.cuda.device_count())')"  # heeds CUDA_VISIBLE_DEVICES
CORES="$("$PYTHON" -c 'import os; print(len(os.sched_getaffinity(0)))')"  # nproc obeys OMP_NUM_THREADS, which is 1 here at times
LAUNCH=""
[ "$GPUS" -gt 1 ] && LAUNCH="torch.distributed.run --standalone --nproc-per-node $GPUS -m"
# shellcheck disable=SC2086  # words, not one word
"$PYTHON" -m $LAUNCH training.train --minutes "$MINUTES" --atlas "$CORES" --out "$OUT" "$@"
"$PYTHON" -m training.export --weights "$OUT/last.pt" --out src/flashweb/models/flashweb-nano
# shellcheck disable=SC2086
"$PYTHON" -m training.verify --model src/flashweb/models/flashweb-nano --out training/results/verify.json ${VERIFY:-}
