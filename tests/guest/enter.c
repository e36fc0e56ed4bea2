// SPDX-License-Identifier: BSD-2-Clause
// enter with nesting levels: the frame pointers that it copies (SDM vol. 2, ENTER).
#include "guest/lib.h"

IMAGE("enter");

int image_main(void)
{
    uint64_t top, second, rsp_moved;
    __asm__("movq %%rbp, %%rcx; movq %%rsp, %%rdx; enter $0, $1; enter $16, $2\n"
            "movq (%%rbp), %0; movq -8(%%rbp), %1; subq %%rdx, %0; subq %%rdx, %1; movq %%rsp, %2; subq %%rdx, %2\n"
            "leave; leave; movq %%rdx, %%rsp; movq %%rcx, %%rbp"
            : "=&r"(top), "=&r"(second), "=&r"(rsp_moved)
            :
            : "rcx", "rdx", "cc", "memory");
    CHECK(top == -8ull && second == -8ull); // the outer frame, saved twice
    CHECK_EQ(rsp_moved, -8 - 8 - 8 - 8 - 8 - 16);
    return 0;
}
