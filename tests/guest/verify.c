// SPDX-License-Identifier: BSD-2-Clause
// lar, lsl, verr, verw: what they find through ZF, at CPL 0 and CPL 3, without ever a fault (SDM vol. 2).
#include "tests/guest/descriptors.h"

IMAGE("verify");

static uint64_t table[LIBRARY_ENTRIES + OWN_ENTRIES] __attribute__((aligned(16)));

enum entry { SMALL, BIG, EXECUTE, CONFORMING, ABSENT, GATE, READ_ONLY };
#define SELECTOR(entry) ((uint64_t)OWN_SELECTOR(entry))
#define TYPE_CALL_GATE 12
#define NOTHING (~0ull)

static uint64_t lar(uint64_t selector)
{
    uint64_t r = 0x1122334455667788;
    bool zf;
    __asm__("lar %k2, %k0" : "+r"(r), "=@ccz"(zf) : "r"(selector));
    return zf ? r : NOTHING;
}

static uint64_t lsl(uint64_t selector)
{
    uint64_t r = 0x1122334455667788;
    bool zf;
    __asm__("lsl %k2, %k0" : "+r"(r), "=@ccz"(zf) : "r"(selector));
    return zf ? r : r == 0x1122334455667788 ? NOTHING : 0xbad;
}

static bool verr(uint64_t selector)
{
    bool zf;
    __asm__("verr %w1" : "=@ccz"(zf) : "r"(selector));
    return zf;
}

static bool verw(uint64_t selector)
{
    bool zf;
    __asm__("verw %w1" : "=@ccz"(zf) : "r"(selector));
    return zf;
}

// Bits 0 to 3: what verr, verw, lar and lsl say at CPL 3.
static USER_CODE uint64_t at_cpl3(void *selector)
{
    bool r, w, a, l;
    uint32_t ignored;
    __asm__("verr %w1" : "=@ccz"(r) : "r"(selector));
    __asm__("verw %w1" : "=@ccz"(w) : "r"(selector));
    __asm__("lar %k2, %0" : "=r"(ignored), "=@ccz"(a) : "r"(selector));
    __asm__("lsl %k2, %0" : "=r"(ignored), "=@ccz"(l) : "r"(selector));
    return (uint64_t)r | (uint64_t)w << 1 | (uint64_t)a << 2 | (uint64_t)l << 3;
}

int image_main(void)
{
    own_gdt(table);
    uint64_t *own = &table[LIBRARY_ENTRIES];
    own[SMALL] = D_TYPE(TYPE_READ_WRITE) | D_S | D_P | D_DB | D_LIMIT(0x12345);
    own[BIG] = DATA_DESCRIPTOR(3);
    own[EXECUTE] = D_TYPE(TYPE_EXECUTE) | D_S | D_P | D_L;
    own[CONFORMING] = D_TYPE(TYPE_CONFORMING) | D_S | D_P | D_L;
    own[ABSENT] = DATA_DESCRIPTOR(0) & ~D_P;
    own[GATE] = D_TYPE(TYPE_CALL_GATE) | D_P;
    own[READ_ONLY] = D_TYPE(TYPE_READ_ONLY) | D_S | D_P | D_DB;

    CHECK_EQ(lar(SELECTOR(SMALL)) & 0xf0ff00, own[SMALL] >> 32 & 0xf0ff00);
    CHECK_EQ(lar(SELECTOR(ABSENT)) & 0xf0ff00, own[ABSENT] >> 32 & 0xf0ff00); // present or not is no matter to lar
    CHECK_EQ(lar(SELECTOR(GATE)) & 0xff00, own[GATE] >> 32 & 0xff00);
    CHECK_EQ(lar(TSS_SELECTOR) & 0xff00, 0x8b00);
    CHECK_EQ(lar(0), NOTHING);
    CHECK_EQ(lar(0xfff8), NOTHING);
    CHECK_EQ(lsl(SELECTOR(SMALL)), 0x12345);
    CHECK_EQ(lsl(SELECTOR(BIG)), 0xffffffff);
    CHECK_EQ(lsl(SELECTOR(GATE)), NOTHING);
    CHECK_EQ(lsl(SELECTOR(SMALL) | 3), NOTHING); // RPL counts
    CHECK_EQ(lsl(TSS_SELECTOR), sizeof guest.tss - 1);
    CHECK(verr(SELECTOR(SMALL)) && verw(SELECTOR(SMALL)));
    CHECK(verr(SELECTOR(READ_ONLY)) && !verw(SELECTOR(READ_ONLY)));
    CHECK(!verr(SELECTOR(EXECUTE)) && !verw(SELECTOR(EXECUTE)));
    CHECK(verr(SELECTOR(CONFORMING)) && !verw(SELECTOR(CONFORMING)));
    CHECK(!verr(TSS_SELECTOR) && !verr(0) && !verw(0) && !verr(0xfff8));

    CHECK_EQ(run_user(at_cpl3, (void *)SELECTOR(BIG)), 0xf);
    CHECK_EQ(run_user(at_cpl3, (void *)SELECTOR(SMALL)), 0);
    CHECK_EQ(run_user(at_cpl3, (void *)SELECTOR(CONFORMING)), 0xd);
    return 0;
}
