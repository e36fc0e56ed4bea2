// SPDX-License-Identifier: BSD-2-Clause
// The judge's program (judge.c), linked, as a part of the tester's.
    .section .rodata
    .globl judge_image, judge_image_end
judge_image:
    .incbin JUDGE
judge_image_end:
    .section .note.GNU-stack, "", @progbits
