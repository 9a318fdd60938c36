#!/usr/bin/env bash
# The checks and figures that need a GPU, in one command for a bare CUDA machine that has PyTorch and nvcc.
#
#   launch/gpu_check.sh [OUTPUT_DIR]          default: runs/gpu_check
#   launch/gpu_check.sh --fetch FOLDER        only download what is needed, to carry it to a machine without a network
#
# It builds mamba-ssm and causal-conv1d for the card at hand, shows that the kernels give what the PyTorch path gives
# and that packed rows give what separate ones give, and measures LoRA on Nemotron Nano 2 9B with random weights: tokens
# a second, MFU and peak memory at 4k and 16k packed. Figures: OUTPUT_DIR/gpu_check.json and gpu_check.md, written after
# every measurement. What is built stays beside OUTPUT_DIR and is found again.
#
#   PYTHON          the interpreter that has PyTorch (default: python3)
#   WHEELS          a folder that --fetch filled; without it, things are fetched
#   PYTHON_VERSION  with --fetch: of the machine that they are for (default: that of PYTHON)
#   MEASURE         options of tests/benchmarks/gpu_training.py, such as "--lengths [4096]"
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PYTHON=${PYTHON:-python3}
SOURCES=(mamba-ssm==2.3.2.post1 causal-conv1d==1.7.0)
# Without their requirements: torch, numpy, pyarrow and the like are the machine's own.
PACKAGES=(transformers==5.23.0 trl==1.16.0 peft==0.21.2 accelerate==1.15.0 datasets==5.2.0 tokenizers huggingface-hub
    jsonargparse typeshed-client docstring-parser einops tabulate xxhash multiprocess dill)

fetch() {
    mkdir -p "$1"
    "$PYTHON" launch/gpu/fetch_sources.py "$1" "${SOURCES[@]}"
    local version=${PYTHON_VERSION:-$("$PYTHON" -c 'import sys; print("{}.{}".format(*sys.version_info))')}
    "$PYTHON" -m pip download -q --no-deps --only-binary=:all: --python-version "$version" -d "$1" \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 \
        --platform manylinux2014_x86_64 -c constraints.txt "${PACKAGES[@]}"
}

if [[ ${1:-} == --fetch ]]; then
    fetch "${2:?usage: launch/gpu_check.sh --fetch FOLDER}"
    exit
fi

output=${1:-runs/gpu_check}
mkdir -p "$output"
output=$(cd "$output" && pwd)
venv=$(dirname "$output")/gpu_venv
wheels=${WHEELS:-$(dirname "$output")/gpu_wheels}
[[ -n ${WHEELS:-} || -d $wheels ]] || fetch "$wheels"

capability=$("$PYTHON" -c '
import torch
if not torch.cuda.is_available():
    raise SystemExit("PyTorch sees no CUDA device here; this check is for a machine with a GPU")
print("{}{}".format(*torch.cuda.get_device_capability()))')

if [[ ! -x $venv/bin/python ]]; then
    "$PYTHON" -m venv "$venv"
    # The packages of the interpreter that has PyTorch, which may be one of a venv itself.
    "$PYTHON" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' > "$(echo "$venv"/lib/python3*/site-packages)/base.pth"
fi
install() { "$venv/bin/python" -m pip install -q --no-index --no-deps --find-links "$wheels" "$@"; }
install "${PACKAGES[@]}"

# Both setup.py compile for every card there is, which takes half an hour; this one is enough.
build() {
    local sources
    "$venv/bin/python" -c "import $2" 2> /dev/null && return
    sources=$(mktemp -d)
    tar -xzf "$wheels/$1"-*.tar.gz -C "$sources" --strip-components=1
    sed -i -E "s/cc_flag\.append\(\"-gencode\"\)/pass/; s/cc_flag\.append\(\"arch=compute_75.*/cc_flag.extend(['-gencode', 'arch=compute_$capability,code=sm_$capability'])/; s/cc_flag\.append\(\"arch=compute_.*/pass/" "$sources/setup.py"
    MAX_JOBS=$(nproc) MAMBA_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE install --no-build-isolation "$sources"
    rm -rf "$sources"
}
started=$SECONDS
build causal_conv1d causal_conv1d &
convolution=$!
build mamba_ssm selective_scan_cuda &
scan=$!
wait "$convolution"
wait "$scan"
echo "kernels built for sm_$capability in $((SECONDS - started)) s"

# shellcheck disable=SC2086  # several options
PYTHONPATH=$PWD "$venv/bin/python" tests/benchmarks/gpu_training.py --output_dir "$output" \
    --built_in_s $((SECONDS - started)) ${MEASURE:-}
