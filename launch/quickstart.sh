#!/usr/bin/env bash
# The whole road on the built-in sample: build, fine-tune a hybrid model, evaluate three checkpoints, rank them.
# Every stage keeps what it finished, so the script can be stopped at any moment and started again.
# Usage: launch/quickstart.sh [FOLDER]        (default: quickstart)
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-quickstart}
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1/4  Build the multilingual data set"
python -m data_prep build --config recipes/data/sample.yaml --output_dir "$out/data"

say "2/4  Fine-tune a hybrid Mamba-2/attention model on it"
if [ -f "$out/sft/final/config.json" ]; then
    echo "already trained: $out/sft/final"
else
    accelerate launch --config_file launch/accelerate/cpu_ddp.yaml train/sft.py \
        --config recipes/sft/tiny_nemotron_h.yaml --data.build "$out/data" --training.output_dir "$out/sft"
fi

say "3/4  Evaluate the untrained, the middle and the last checkpoint"
middle=$(find "$out/sft" -maxdepth 1 -name 'checkpoint-*' | sort -V | head -n 1)
for checkpoint in "$out/sft/initial" "$middle" "$out/sft/final"; do
    python -m eval run --config recipes/eval/sample.yaml --data "$out/data" --model "$checkpoint" \
        --output_dir "$out/eval/$(basename "$checkpoint")"
done

say "4/4  Rank them"
python -m eval leaderboard "$out"/eval/*/ --output_dir "$out/leaderboard"

say "Done. Open $out/leaderboard/index.html in a browser."
