#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the benchmarks, then makes the tables and pictures beside the results file. Arguments go to `ringside bench`:
# --quick, suites or names, --engines=..., --seed=... Ctrl-C during measuring still gives tables of what there is.
set -u
cd "$(dirname "$0")/.." || exit 2

out=results/local/$(date -u +%Y%m%dT%H%M%SZ)-$(uname -n).jsonl
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
python3 scripts/table.py "$out" >"$tables" || exit 1
cat "$tables"
echo "results:  $out"
echo "tables:   $tables"
python3 scripts/plot.py "$out" | sed 's/^/picture:  /'
[ "$interrupted" = 0 ] || exit 130
exit $status
