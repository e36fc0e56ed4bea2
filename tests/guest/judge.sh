#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs test images under QEMU's TCG, the judge of the images themselves: a check that fails there, but for those that
# tests/guest/judge.h marks, is the image's mistake. usage: tests/guest/judge.sh [NAME...]; no name: all of them.
set -u

# QEMU does not come back from what the first one tries; its x87 has #MF at fwait alone, and pops what it should not.
NOT_FOR_QEMU=" crs_refused x87_pending compat_debug "

if ! command -v qemu-system-x86_64 >/dev/null; then
    echo "skip all images: no qemu-system-x86_64"
    exit 0
fi
[ $# -gt 0 ] || set -- $(cd "build/images/test" && ls ./*.elf | sed 's|^./||; s|[.]elf$||')

failed=0
for name in "$@"; do
    case $NOT_FOR_QEMU in
    *" $name "*)
        echo "skip $name: no image for QEMU"
        continue
        ;;
    esac
    out=$(timeout 60 qemu-system-x86_64 -kernel "build/images/test/$name.elf" -cpu max -m 128 -nographic -no-reboot \
        -device isa-debug-exit,iobase=0xf4,iosize=1 </dev/null 2>&1 | tr -d '\r')
    bad=$(grep -a ' ok=0 ' <<<"$out" | grep -av 'what=not-qemu: ')
    if [ -n "$bad" ] || ! grep -aqE "^rs1 end name=$name status=[01]$" <<<"$out"; then
        echo "not ok $name"
        echo "${bad:-$(tail -n 3 <<<"$out")}"
        failed=1
    else
        echo "ok $name"
    fi
done
exit $failed
