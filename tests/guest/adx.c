// SPDX-License-Identifier: BSD-2-Clause
// adcx and adox: two carry chains that leave each other's flag alone (SDM vol. 2, ADCX, ADOX).
#include "tests/guest/feature.h"
#include "tests/guest/judge.h"
#include "tests/guest/sweep.h"

IMAGE("adx");

#define ADD_AT(op, width, modifier)                                                                                    \
    static struct result op##_##width(uint64_t a, uint64_t b, uint64_t flags)                                          \
    {                                                                                                                  \
        __asm__("pushq %[f]; popfq; " #op " %" modifier "[b], %" modifier "[a]; pushfq; popq %[f]"                     \
                : [a] "+r"(a), [f] "+r"(flags)                                                                         \
                : [b] "r"(b)                                                                                           \
                : "cc", "memory");                                                                                     \
        return (struct result){a, flags};                                                                              \
    }
ADD_AT(adcx, 32, "k");
ADD_AT(adcx, 64, "q");
ADD_AT(adox, 32, "k");
ADD_AT(adox, 64, "q");

static void sweep(const char *name, uint64_t chain, unsigned width, struct result (*op)(uint64_t, uint64_t, uint64_t))
{
    uint64_t mask = width_mask(width);
    unsigned bad = 0;
    for (unsigned i = 0; i < BOUNDARIES; i++)
        for (unsigned j = 0; j < BOUNDARIES; j++)
            for (unsigned k = 0; k < 4; k++) {
                uint64_t in = FLAG_FIXED1 | (k & 1 ? chain : 0) | (k & 2 ? FLAGS_ARITH & ~chain : 0);
                uint64_t a = boundary[i], b = boundary[j];
                unsigned __int128 sum = (unsigned __int128)(a & mask) + (b & mask) + (k & 1);
                struct result want = {(uint64_t)sum & mask, (in & ~chain) | (sum >> width ? chain : 0)};
                sweep_compare(&bad, name, a, b, op(a, b, in), want, FLAGS_ARITH);
            }
    check_record(bad == 0, name, bad, 0);
}

int image_main(void)
{
    if (!HAS_ADX) {
        skip("no ADX");
        return 0;
    }
    // QEMU takes the carry of the 32-bit forms from the 64-bit sum of registers with something in their upper halves.
    sweep(NOT_QEMU "adcx 32", FLAG_CF, 32, adcx_32), sweep("adcx 64", FLAG_CF, 64, adcx_64);
    sweep(NOT_QEMU "adox 32", FLAG_OF, 32, adox_32), sweep("adox 64", FLAG_OF, 64, adox_64);
    return 0;
}
