#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Makes a GRUB CD that boots images through their multiboot2 header, in Bochs, QEMU or a PC: one menu entry for each,
# the first is the default. A single image starts at once.
set -eu

usage() {
    echo "usage: scripts/iso.sh [-c CMDLINE] OUT.iso IMAGE.elf..." >&2
    exit 2
}

cmdline=
while getopts c: flag; do
    case $flag in
    c) cmdline=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
out=$1
shift

case $cmdline in
*[!A-Za-z0-9=_.,\ -]*) # the line is pasted into GRUB's script
    echo "iso.sh: the command line may hold letters, digits, spaces and = _ . , - only: $cmdline" >&2
    exit 2
    ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/cd
log=$work/log
mkdir -p "$tree/boot/grub" "$(dirname "$out")"

{
    echo "set timeout=$([ $# = 1 ] && echo 0 || echo 5)"
    echo "set default=0"
    for image in "$@"; do
        if ! grub-file --is-x86-multiboot2 "$image"; then
            echo "iso.sh: $image: no multiboot2 image" >&2
            exit 1
        fi
        # build/images/nano/in.elf becomes nano/in
        name=$(basename "$(dirname "$image")")/$(basename "$image" .elf)
        install -D -m 644 "$image" "$tree/boot/$name.elf"
        echo "menuentry '$name' { multiboot2 /boot/$name.elf $cmdline; boot; }"
    done
} >"$tree/boot/grub/grub.cfg"

if ! grub-mkrescue -d /usr/lib/grub/i386-pc -o "$out" --fonts= --locales= --themes= \
    --install-modules="normal multiboot2 iso9660 biosdisk test echo" "$tree" >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
