#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Fuzzes one target of tests/fuzz by libFuzzer: fuzz.sh TARGET SECONDS. What it finds is kept in build/fuzz/TARGET, with
# the corpus, which the next run goes on from. The last line is what was executed and covered.
set -eu
cd "$(dirname "$0")/.."

if [ $# != 2 ] || [ ! -f "tests/fuzz/$1.c" ] || [ "$1" = main ]; then
    echo "usage: scripts/fuzz.sh TARGET SECONDS, where TARGET is one of" \
        "$(ls tests/fuzz/*.c | sed 's|.*/||; s|\.c$||' | grep -v main | paste -sd ' ')" >&2
    exit 2
fi
target=$1 seconds=$2 folder=build/fuzz/$1
case $target in
# The translator's addresses are those of AddressSanitizer's shadow (engines/bt/layout.h), and its faults are its own.
translate) kind=plain sanitize=fuzzer-no-link high=() handle=(-handle_segv=0 -handle_bus=0 -handle_ill=0 -handle_fpe=0 -timeout=0) ;;
*) kind=san sanitize=fuzzer-no-link,address,undefined high=(HIGH=) handle=() ;;
esac

make -s "build/tests/fuzz_$target"
make -s CC=clang-14 B="build/fuzz/$kind" WARN=-w SAN="-fsanitize=$sanitize -fno-sanitize-recover=all" \
    ${high[@]+"${high[@]}"} "build/fuzz/$kind/fuzz/$target"
mkdir -p "$folder/corpus" "$folder/inputs"
"build/tests/fuzz_$target" --inputs "$folder/inputs"
status=0
"build/fuzz/$kind/fuzz/$target" -max_total_time="$seconds" -max_len=4096 -timeout=60 -rss_limit_mb=4096 \
    -print_final_stats=1 -artifact_prefix="$folder/" ${handle[@]+"${handle[@]}"} "$folder/corpus" "$folder/inputs" \
    2>"$folder/log" || status=$?
grep -E '^(input: |fuzz |==.*ERROR|SUMMARY)' "$folder/log" || true
grep -E 'cov: ' "$folder/log" | tail -1
grep -E 'stat::number_of_executed_units|Done' "$folder/log"
exit $status
