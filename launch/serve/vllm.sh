#!/usr/bin/env bash
# A checkpoint behind vLLM, under the name of its folder; see launch/serve.md.
# A folder that holds only a LoRA adapter is served beside its base model, with the chat template of the adapter.
# Usage: [VLLM=.venv-vllm/bin/vllm] launch/serve/vllm.sh CHECKPOINT [OPTION of vllm serve] ...
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: launch/serve/vllm.sh CHECKPOINT [OPTION of vllm serve] ..." >&2; exit 2; }
checkpoint=${1%/}
shift
name=$(basename "$checkpoint")
# The state of Mamba layers in the dtype of the weights is too coarse; other models have no such state.
options=(--mamba-ssm-cache-dtype float32 --enable-prefix-caching)

if [ -f "$checkpoint/config.json" ] || [ ! -d "$checkpoint" ]; then
    model=$checkpoint
    options+=(--served-model-name "$name")
elif [ -f "$checkpoint/adapter_config.json" ]; then
    # vLLM knows only some ranks; the next larger one has room for this adapter.
    adapter=$(python3 - "$checkpoint/adapter_config.json" <<'PY'
import json, sys
adapter = json.load(open(sys.argv[1]))
rank = max([adapter["r"], *adapter.get("rank_pattern", {}).values()])
print(adapter["base_model_name_or_path"], min(n for n in (1, 8, 16, 32, 64, 128, 256, 320, 512) if n >= rank), sep="\n")
PY
    )
    model=$(sed -n 1p <<<"$adapter")
    options+=(--enable-lora --max-lora-rank "$(sed -n 2p <<<"$adapter")" --lora-modules "$name=$checkpoint")
    [ ! -f "$checkpoint/chat_template.jinja" ] || options+=(--chat-template "$checkpoint/chat_template.jinja")
else
    echo "error: $checkpoint holds neither a config.json nor an adapter_config.json; name a checkpoint" >&2
    exit 2
fi
echo "serving $checkpoint: give the engine --engine.model $name and the folder of its tokenizer as --engine.tokenizer"
exec "${VLLM:-vllm}" serve "$model" "${options[@]}" "$@"
