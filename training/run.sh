#!/bin/sh
# Retrain flashweb-nano from nothing: fonts and words, training, export into the package, scores.
#   training/run.sh [MINUTES] [more flags of training.train, such as --init FOLDER --peak 0.5]
# Needs one CUDA GPU (an H200 takes 26 minutes for the shipped model) and about 16 CPU cores to draw pages.
set -eu
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-python3}"
MINUTES="${1:-26}"
[ $# -gt 0 ] && shift
export FLASHWEB_TRAINING_FONTS="${FLASHWEB_TRAINING_FONTS:-$PWD/.scratch/fonts}"
[ -e "$FLASHWEB_TRAINING_FONTS/fonts.json" ] || "$PYTHON" -m training.fonts "$FLASHWEB_TRAINING_FONTS"
OUT="${OUT:-.scratch/run}"
"$PYTHON" -m training.train --minutes "$MINUTES" --atlas "$(nproc)" --out "$OUT" "$@"
"$PYTHON" -m training.export --weights "$OUT/last.pt" --out src/flashweb/models/flashweb-nano
"$PYTHON" -m training.verify --model src/flashweb/models/flashweb-nano --out training/results/verify.json
