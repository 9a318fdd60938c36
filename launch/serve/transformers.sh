#!/usr/bin/env bash
# A checkpoint behind `transformers serve`, so that it answers as the engine hf does; see launch/serve.md.
# A model or a LoRA adapter is exported once, to CHECKPOINT-served; that folder is also the name of the served model.
# Usage: launch/serve/transformers.sh CHECKPOINT [OPTION of transformers serve] ...
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: launch/serve/transformers.sh CHECKPOINT [OPTION of transformers serve] ..." >&2; exit 2; }
checkpoint=${1%/}
shift
[ -d "$checkpoint" ] || { echo "error: there is no folder $checkpoint; name a checkpoint" >&2; exit 2; }
served=$checkpoint-served

if [ ! -d "$served" ]; then
    python -m launch.export "$checkpoint" "$served"
elif [ -n "$(find "$checkpoint" -maxdepth 1 -type f -newer "$served" -print -quit)" ]; then
    echo "error: $served is older than $checkpoint; remove it, so that it is exported anew" >&2
    exit 2
fi
echo "serving $served: give the engine --engine.model $served --engine.tokenizer $served"
exec transformers serve "$served" "$@"
