// SPDX-License-Identifier: BSD-2-Clause
// rdtsc and rdtscp: never backwards, halves in edx and eax with the upper halves clear, the same clock as the MSR
// (SDM vol. 3, 17.17).
#include "guest/insn.h"
#include "guest/lib.h"
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"

IMAGE("tsc");

int image_main(void)
{
    uint64_t rax = ~0ull, rdx = ~0ull;
    __asm__ volatile("rdtsc" : "+a"(rax), "+d"(rdx));
    CHECK(rax >> 32 == 0 && rdx >> 32 == 0);
    unsigned backwards = 0;
    uint64_t last = tsc_begin();
    for (unsigned i = 0; i < 500; i++) {
        uint64_t now = i & 1 ? tsc_begin() : tsc_end();
        backwards += now < last;
        last = now;
    }
    CHECK_EQ(backwards, 0);
    uint64_t before = tsc_begin(), msr = read_msr(MSR_TSC), after = tsc_end();
    CHECK_NOT_QEMU(before <= msr && msr <= after); // QEMU has no such MSR
    if (HAS_RDTSCP) {
        rax = ~0ull, rdx = ~0ull;
        uint64_t rcx = ~0ull;
        __asm__ volatile("rdtscp" : "+a"(rax), "+d"(rdx), "+c"(rcx));
        CHECK(rax >> 32 == 0 && rdx >> 32 == 0 && rcx == read_msr(MSR_TSC_AUX));
    } else {
        skip("no rdtscp");
    }
    return 0;
}
