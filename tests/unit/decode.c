// SPDX-License-Identifier: BSD-2-Clause
// The Capstone front end where Capstone by itself would be wrong: the same instruction in every order of its prefixes.
#include "x86/decode.h"

#include "include/vcpu_state.h"
#include "tests/unit/check.h"

static struct insn decode(struct x86_decoder *d, const char *bytes, size_t n)
{
    struct insn in;
    if (!x86_decode(d, (const uint8_t *)bytes, n, 0x1000, &in))
        memset(&in, 0, sizeof in);
    return in;
}
#define DECODE(bytes) decode(&d, bytes, sizeof(bytes) - 1)

int main(void)
{
    struct x86_decoder d;
    if (!CHECK(x86_decoder_open(&d) == 0))
        return check_done("decode");

    const struct insn rep_movsw[] = {DECODE("\x66\xf3\xa5"), DECODE("\xf3\x66\xa5"), DECODE("\x66\x64\xf3\x66\xa5")};
    for (unsigned i = 0; i < 3; i++)
        CHECK(rep_movsw[i].id == X86_INS_MOVSW && rep_movsw[i].op[0].size == 2 && rep_movsw[i].rep);
    CHECK_EQ(rep_movsw[2].length, 5);
    CHECK_EQ(rep_movsw[2].op[1].mem.seg, SEG_FS);

    const struct insn popcnt[] = {DECODE("\x66\xf3\x0f\xb8\xc1"), DECODE("\xf3\x66\x0f\xb8\xc1"),
                                  DECODE("\xf3\x66\x41\x0f\xb8\xc1")};
    for (unsigned i = 0; i < 3; i++)
        CHECK(popcnt[i].id == X86_INS_POPCNT && popcnt[i].op[0].size == 2);
    CHECK_EQ(popcnt[2].op[1].reg, R9);

    CHECK_EQ(DECODE("\x66\x48\x8c\xd8").op[0].size, 8); // REX.W outweighs 66
    CHECK_EQ(DECODE("\x66").length, 0);                 // nothing but a prefix
    x86_decoder_close(&d);
    return check_done("decode");
}
