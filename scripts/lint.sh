#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Everything that can be said about the sources without running them. One `ok` or `not ok` line per check; what a failed
# check found stands above its line. Exit status 1 where one failed.
set -u
cd "$(dirname "$0")/.." || exit 2

# Files in a checkout are those that git knows or could add; in an unpacked archive, all but the build.
sources()
{
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r f; do [ -f "$f" ] && echo "$f"; done
    else
        local names=()
        for pattern in "$@"; do names+=(-o -path "./$pattern"); done
        find . -path ./build -prune -o -type f \( "${names[@]:1}" \) -print | sed 's|^\./||'
    fi | sort
}

failed=0
check()
{
    local name=$1
    shift
    if "$@" 2>&1; then
        echo "ok lint: $name"
    else
        echo "not ok lint: $name"
        failed=1
    fi
}

shell_syntax()
{
    local f bad=0
    for f in "$@"; do bash -n "$f" || bad=1; done
    return $bad
}

# All objects, with the warnings that the Makefile turns into errors; the unit tests' programs as well.
build()
{
    local units=() f
    for f in tests/unit/*.c; do
        [ -e "$f" ] && f=${f#tests/unit/} && units+=("build/tests/${f%.c}")
    done
    make --no-print-directory "-j$(nproc)" -s all "${units[@]}"
}

mapfile -t c < <(sources '*.c' '*.h')
mapfile -t all < <(sources '*')
mapfile -t shell < <(sources 'scripts/*.sh' '.ci/run' 'tests/*.sh')

check "format" clang-format-14 --dry-run -Werror "${c[@]}"
check "includes go down only" python3 scripts/check_includes.py "${c[@]}"
check "sources" python3 scripts/check_sources.py "${all[@]}"
check "figures in sentences" python3 scripts/check_figures.py
check "what pages point at is there" python3 scripts/check_pages.py
check "shell syntax" shell_syntax "${shell[@]}"
check "builds without warnings" build
check "what runs beside live vector registers" python3 scripts/check_quick.py build/obj/engines/bt/*.o build/obj/x86/paging.o
check "handlers chain by jumps" python3 scripts/check_tail_calls.py build/obj/engines/interp/*.o
exit $failed
