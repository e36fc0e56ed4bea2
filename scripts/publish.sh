#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Everything that the pages show, measured anew in one go: `scripts/publish.sh NAME` writes results/NAME*.jsonl, draws the
# pictures beside them and rewrites the generated blocks of README.md and PAPER.md. Wants a quiet machine and a built,
# committed tree. `--quick` first: few processes of each, into results/local, and the pages stay as they are.
set -eu
cd "$(dirname "$0")/.."

quick=0
[ "${1:-}" != --quick ] || { quick=1; shift; }
if [ $# != 1 ] || [[ $1 == -* ]] || [[ $1 == */* ]]; then
    echo "usage: scripts/publish.sh [--quick] NAME" >&2
    exit 2
fi
folder=results
[ $quick = 0 ] || folder=results/local
mkdir -p "$folder"
base=$folder/$1
if compgen -G "$base*.jsonl" >/dev/null; then
    echo "publish: $base*.jsonl is there already: results are appended to, never replaced; take another name" >&2
    exit 2
fi

started=$SECONDS
step()
{
    echo "== $((SECONDS - started)) s: $*" >&2
    local status=0 bearable=0
    [ "$1" != build/ringside ] || bearable=1 # a benchmark gave no sample somewhere; the tables say where and why
    "$@" >"$log" || status=$?
    [ $status -le $bearable ] || { cat "$log" >&2; exit $status; }
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

read -ra kernels <<<"$(scripts/process.py --kernels)"
read -ra images <<<"$(scripts/process.py --images)"
ablated=$(scripts/ablation.py --engines)
ways=$(scripts/process.py --engines)
if [ $quick = 1 ]; then
    step build/ringside bench --quick --runs=1 --out="$base.jsonl" "${kernels[@]}"
    step build/ringside bench --quick --runs=1 --engines="$ways" --out="$base-process.jsonl" "${images[@]}"
    step build/ringside bench --quick --runs=1 --engines="$ablated" --out="$base-ablation.jsonl" "${kernels[@]}"
    step scripts/boot.py --quick --out="$base-boot.jsonl"
    step scripts/peers.py --quick --reps=1 --out="$base-peers.jsonl"
    step scripts/linux.py --quick --out="$base-linux.jsonl"
    step scripts/translation.py --runs=1 --out="$base-translation.jsonl"
    for file in "$base"*.jsonl; do step scripts/plot.py "$file"; done
    echo "publish: $((SECONDS - started)) s; the tables: scripts/table.py, process.py, figure5.py with $base*.jsonl" >&2
else
    step build/ringside bench --out="$base.jsonl" "${kernels[@]}"
    step build/ringside bench --runs=6 --reps=5 --engines="$ways" --out="$base-process.jsonl" "${images[@]}"
    step build/ringside bench --runs=3 --engines="$ablated" --out="$base-ablation.jsonl" "${kernels[@]}"
    step scripts/boot.py --out="$base-boot.jsonl"
    step scripts/peers.py --rounds=1 --out="$base-peers.jsonl"
    step scripts/linux.py --out="$base-linux.jsonl"
    step scripts/translation.py --runs=3 --out="$base-translation.jsonl"
    status=0
    scripts/paper.py "$base"*.jsonl || status=$? # its last lines are the sentences that this run does not bear
    echo "publish: $((SECONDS - started)) s; look at the pictures and at README.md and PAPER.md, then commit all of it" >&2
    exit $status
fi
