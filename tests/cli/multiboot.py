#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that starts in 32-bit protected mode as Multiboot has it, and goes to long mode by itself: on interp all the way,
on bt from where it is in 64-bit mode. It checks what it finds at its entry and ends with the number of what was wrong."""
import os
import subprocess
import sys
import tempfile

from _report import exit_status, report

RINGSIDE = os.environ.get("RINGSIDE", os.path.join(os.environ.get("BUILD", "build"), "ringside"))
OK, USAGE, UNAVAILABLE, FAILED, BAD_IMAGE, ENGINE_ERROR = 0, 2, 3, 1, 4, 8

SOURCE = r"""
        .section .text
        .long   0x1badb002, FLAGS, -(0x1badb002 + FLAGS)
        .code32
        .globl  _start
_start: movl    $1, %esi                        # what fails next
        cmpl    $0x2badb002, %eax
        jne     bad
        incl    %esi                            # 2: memory, command line and map
        movl    (%ebx), %eax
        andl    $0x45, %eax
        cmpl    $0x45, %eax
        jne     bad
        incl    %esi                            # 3: 32 MiB
        cmpl    $31 * 1024, 8(%ebx)
        jne     bad
        incl    %esi                            # 4: "image word"
        movl    16(%ebx), %ecx
        cmpl    $0x67616d69, (%ecx)
        jne     bad
        cmpl    $0x726f7720, 5(%ecx)
        jne     bad
        incl    %esi                            # 5: paging is off
        movl    %cr0, %eax
        testl   %eax, %eax
        js      bad
        movl    $0x83, pml4 + 0x1000        # a PDPT behind it, with one page of 1 GiB
        movl    $pml4 + 0x1003, pml4
        movl    $pml4, %eax
        movl    %eax, %cr3
        movl    $0x20, %eax
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000000, %eax
        movl    %eax, %cr0
        lgdt    pointer
        ljmp    $8, $long
bad:    movl    %esi, %eax
        outl    %eax, $0xf4
        .code64
long:   movl    $6, %esi                        # 6: 64-bit mode, and a loop in it
        movq    $0x123456789a, %rax
        shrq    $32, %rax
        cmpl    $0x12, %eax
        jne     bad64
        movl    $100000, %ecx
1:      addq    %rcx, %rbx
        loop    1b
        movw    $0x3f8, %dx
        movb    $'!', %al
        outb    %al, %dx
        movb    $'\n', %al
        outb    %al, %dx
        xorl    %esi, %esi
bad64:  movl    %esi, %eax
        outl    %eax, $0xf4
        .balign 8
gdt:    .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
pointer: .short 23
        .long   gdt
        .bss
        .balign 4096
pml4:   .skip   8192
"""


def build(folder, name, flags):
    source, obj, image = (os.path.join(folder, name + end) for end in (".s", ".o", ".elf"))
    with open(source, "w", encoding="ascii") as file:
        file.write(SOURCE.replace("FLAGS", str(flags)))
    subprocess.run(["as", "--32", "-o", obj, source], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-Ttext=0x200000", "--build-id=none", "-o", image, obj], check=True)
    return image


def run(image, *options):
    done_ = subprocess.run([RINGSIDE, "run", "--ram=32M", "--append=word", "--timeout=120", *options, image],
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=180)
    return done_.returncode, done_.stdout.decode(errors="replace"), done_.stderr.decode(errors="replace").strip()


with tempfile.TemporaryDirectory() as folder:
    image = build(folder, "good", 3)
    for engine in ("interp", "bt"):
        status, out, err = run(image, f"--engine={engine}")
        if (engine, status) == ("bt", UNAVAILABLE):
            print(f"skip {err}")
            continue
        report((status, out) == (OK, "!\n"), f"{engine} runs it", f"status {status} {err}")
        if engine == "bt":
            status, out, err = run(image, "--engine=bt", "--counters")
            report(status == OK and "\ncallouts " in out, "bt has had its part", err)
    status, _, err = run(image, "--engine=bt,interp", "--switch=1")
    report(status == USAGE and "starts on interp" in err, "it cannot be moved by time", err)
    status, _, err = run(image, "--engine=interp", "--append=w0rd")
    report(status == FAILED and "status 4" in err, "the guest sees its command line", err)
    status, _, err = run(build(folder, "video", 7), "--engine=interp")
    report(status == BAD_IMAGE and "Multiboot header asks" in err, "a header that asks for more is refused", err)
    with open(image, "r+b") as file:
        code = file.read()
        at = code.index((0x1badb002).to_bytes(4, "little"))
        file.seek(at)
        file.write(b"\0")
    status, _, err = run(image, "--engine=interp")
    report(status == BAD_IMAGE and "no Multiboot header" in err, "one without a header is refused", err)
sys.exit(exit_status())
