#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs the benchmarks, then makes the tables and pictures beside the results files: first what needs no operating system,
# then the benchmarks of processes, which have columns of their own. Arguments go to `ringside bench`: --quick, suites or
# names (then one run of those), --engines=..., --seed=... Ctrl-C during measuring still gives tables of what there is.
# With --ablation first: the translator against itself, each time with one technique off (scripts/ablation.py).
set -u
cd "$(dirname "$0")/.." || exit 2

base=results/local/$(date -u +%Y%m%dT%H%M%SZ)-$(uname -n)
mkdir -p results/local
interrupted=0
worst=0
first=

# measure KIND TABLES WORD...: one run of `ringside bench` and what is made of it.
measure()
{
    local kind=$1 table=$2 status out=$base$1.jsonl
    shift 2
    first=${first:-$out} # the page has what lies beside it as well
    # The program takes the signal and ends its run in good order; this script only goes on.
    trap 'interrupted=1' INT
    build/ringside bench --out="$out" "$@" >/dev/null # its summary: the tables below say more
    status=$?
    trap - INT
    [ "$status" = 0 ] || worst=$status
    if [ ! -s "$out" ]; then
        echo "bench: nothing was measured" >&2
        exit $((status ? status : 1))
    fi
    python3 "$table" "$out" >"${out%.jsonl}.md" || exit 1
    cat "${out%.jsonl}.md"
    echo "results:  $out"
    echo "tables:   ${out%.jsonl}.md"
    python3 scripts/plot.py "$out" | sed 's/^/picture:  /'
    [ "$interrupted" = 0 ] || exit 130
}

quick=0
names=0
engines=0
for word in "$@"; do
    case $word in
    --quick) quick=1 ;;
    --engines=*) engines=1 ;;
    --*) ;;
    *) names=1 ;;
    esac
done

if [ "${1:-}" = --ablation ]; then
    shift
    [ $quick = 0 ] || set -- --runs=1 "$@" # so many columns take their time
    # shellcheck disable=SC2046 # names without blanks
    [ $names = 1 ] || set -- "$@" $(python3 scripts/process.py --kernels)
    measure -ablation scripts/ablation.py "--engines=$(python3 scripts/ablation.py --engines)" "$@"
elif [ $names = 1 ]; then
    measure "" scripts/table.py "$@"
else
    # shellcheck disable=SC2046
    measure "" scripts/table.py "$@" $(python3 scripts/process.py --kernels)
    images=$(python3 scripts/process.py --images)
    if [ -n "$images" ]; then
        [ $engines = 1 ] || set -- "$@" "--engines=$(python3 scripts/process.py --engines)"
        # so many columns take their time; six processes are the least that give an interval
        [ $quick = 1 ] && set -- --runs=1 "$@" || set -- --runs=6 --reps=5 "$@"
        # shellcheck disable=SC2086
        measure -process scripts/process.py "$@" $images
    fi
fi
echo "page:     make report RESULTS=$first"
exit $worst
