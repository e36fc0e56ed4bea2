#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Checks for what the build and the tests need and installs what is missing; when nothing is, it only looks at a few
# files. Exit status: 0 all there, 1 installing failed, 2 usage, 3 something is missing and we may not install it.
set -u

# One line per need: the Debian package, and a command or file that is there when the package is.
base='
gcc             gcc
make            make
libc6-dev       /usr/include/stdlib.h
libcapstone-dev /usr/include/capstone/capstone.h
libpfm4-dev     /usr/include/perfmon/pfmlib.h
nettle-dev      /usr/include/nettle/sha2.h
libjansson-dev  /usr/include/jansson.h
gnuplot-nox     gnuplot
python3         python3
git             git
'
# bochs-term is Bochs' display on a terminal; grub, xorriso and mtools make the CD images that Bochs boots.
peers='
qemu-system-x86 qemu-system-x86_64
bochs           bochs
bochs-term      /usr/lib/*/bochs/plugins/libbx_term_gui.so
bochsbios       /usr/share/bochs/BIOS-bochs-latest
vgabios         /usr/share/vgabios/vgabios.bin
grub-pc-bin     /usr/lib/grub/i386-pc/multiboot2.mod
grub-common     grub-mkrescue
xorriso         xorriso
mtools          mformat
'
# What some tests drive, which say so where it is absent.
tests='
gdb             gdb
'
# What looks at the report as a reader does. Large, and only one test uses it, which says so where it is absent.
browser='
chromium-headless-shell chromium-headless-shell
'
# libFuzzer, which comes with the compiler, and the sanitizers.
fuzz='
clang-14               clang-14
libclang-rt-14-dev     /usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a
'
# The format is pinned: another version of clang-format lays out some lines differently.
lint='
clang-format-14 clang-format-14
'

is_there()
{
    case $1 in
    /*) compgen -G "$1" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

needs=$base attempts=3
for arg in "$@"; do
    case $arg in
    --peers) needs+=$peers ;;
    --lint) needs+=$lint ;;
    --tests) needs+=$tests ;;
    --browser) needs+=$browser attempts=1 ;; # nobody waits for it
    --fuzz) needs+=$fuzz ;;
    *)
        echo "usage: scripts/setup.sh [--peers] [--lint] [--tests] [--browser] [--fuzz]" >&2
        exit 2
        ;;
    esac
done

missing=()
while read -r package probe; do
    [ -z "$package" ] || is_there "$probe" || missing+=("$package")
done <<<"$needs"
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: this machine has no apt-get; please install what these Debian packages hold: ${missing[*]}" >&2
    exit 3
fi
if [ "$(id -u)" = 0 ]; then
    as_root=(env DEBIAN_FRONTEND=noninteractive)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
else
    echo "setup: missing: ${missing[*]}. Please type" >&2
    echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 3
fi

# A mirror may be slow, or gone for a moment; another apt may hold the lock; and a list that cannot be fetched need not be one of ours.
options=(-qq -o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o DPkg::Lock::Timeout=120)
echo "setup: installing ${missing[*]}" >&2
for ((attempt = 1; ; attempt++)); do
    "${as_root[@]}" apt-get "${options[@]}" update >&2
    "${as_root[@]}" apt-get "${options[@]}" install -y --no-install-recommends "${missing[@]}" >&2 && exit 0
    echo "setup: apt-get could not install ${missing[*]} (attempt $attempt of $attempts)" >&2
    ((attempt < attempts)) || exit 1
    sleep $((10 * attempt))
done
