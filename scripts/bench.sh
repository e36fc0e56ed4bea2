#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the benchmarks, then makes the tables and pictures beside the results file. Arguments go to `ringside bench`:
# --quick, suites or names, --engines=..., --seed=... Ctrl-C during measuring still gives tables of what there is.
# With --ablation first: the translator against itself, each time with one technique off (scripts/ablation.py).
set -u
cd "$(dirname "$0")/.." || exit 2

kind=""
table=scripts/table.py
if [ "${1:-}" = --ablation ]; then
    shift
    kind=-ablation
    table=scripts/ablation.py
    [ "${1:-}" != --quick ] || set -- "$@" --runs=1 # so many columns take their time
    set -- "--engines=$(python3 scripts/ablation.py --engines)" "$@"
fi
out=results/local/$(date -u +%Y%m%dT%H%M%SZ)-$(uname -n)$kind.jsonl
mkdir -p results/local

# The program takes the signal and ends its run in good order; this script only goes on.
trap 'interrupted=1' INT
interrupted=0
build/ringside bench --out="$out" "$@" >/dev/null # its summary: the tables below say more
status=$?
trap - INT

if [ ! -s "$out" ]; then
    echo "bench: nothing was measured" >&2
    exit $((status ? status : 1))
fi
tables=${out%.jsonl}.md
python3 "$table" "$out" >"$tables" || exit 1
cat "$tables"
echo "results:  $out"
echo "tables:   $tables"
python3 scripts/plot.py "$out" | sed 's/^/picture:  /'
[ "$interrupted" = 0 ] || exit 130
exit $status
