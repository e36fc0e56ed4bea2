// SPDX-License-Identifier: BSD-2-Clause
// String instructions: all widths, both directions, overlap, page crossing, rcx of 0, repe and repne and the flags they
// leave (SDM vol. 2, MOVS, STOS, LODS, SCAS, CMPS, REP).
#include "guest/lib.h"

IMAGE("string");

struct regs {
    uint64_t rsi, rdi, rcx, rax, flags;
};

#define STRING(name, text)                                                                                             \
    static struct regs name(const void *rsi, void *rdi, uint64_t rcx, uint64_t rax)                                    \
    {                                                                                                                  \
        struct regs r = {(uint64_t)rsi, (uint64_t)rdi, rcx, rax, 0};                                                   \
        __asm__ volatile(text "; pushfq; popq %4; cld"                                                                 \
                         : "+S"(r.rsi), "+D"(r.rdi), "+c"(r.rcx), "+a"(r.rax), "=&r"(r.flags)                          \
                         :                                                                                             \
                         : "memory", "cc");                                                                            \
        return r;                                                                                                      \
    }
STRING(rep_movsb, "rep movsb");
STRING(rep_movsw, "rep movsw");
STRING(rep_movsl, "rep movsl");
STRING(rep_movsq, "rep movsq");
STRING(std_rep_movsb, "std; rep movsb");
STRING(std_rep_movsq, "std; rep movsq");
STRING(movsl, "movsl");
STRING(rep_stosb, "rep stosb");
STRING(rep_stosw, "rep stosw");
STRING(rep_stosl, "rep stosl");
STRING(rep_stosq, "rep stosq");
STRING(std_stosw, "std; stosw");
STRING(lodsb, "lodsb");
STRING(lodsl, "lodsl");
STRING(rep_lodsq, "rep lodsq");
STRING(std_lodsw, "std; lodsw");
STRING(repne_scasb, "repne scasb");
STRING(repe_scasq, "repe scasq");
STRING(std_repne_scasw, "std; repne scasw");
STRING(scasl, "scasl");
STRING(repe_cmpsb, "repe cmpsb");
STRING(repne_cmpsl, "repne cmpsl");
STRING(repe_cmpsb_none, "xorl %%ecx, %%ecx; repe cmpsb");
STRING(rep_movsb_addr32, "addr32 rep movsb");

static uint8_t a[128], b[128];

static void fill(void)
{
    for (unsigned i = 0; i < sizeof a; i++) {
        a[i] = (uint8_t)(i * 7 + 3);
        b[i] = 0;
    }
}

static bool copied(unsigned from, unsigned to, unsigned bytes)
{
    for (unsigned i = 0; i < sizeof b; i++)
        if (b[i] != (i >= to && i < to + bytes ? a[from + i - to] : 0))
            return false;
    return true;
}

#define CHECK_REGS(r, si, di, cx)                                                                                      \
    CHECK((r).rsi == (uint64_t)(si) && (r).rdi == (uint64_t)(di) && (r).rcx == (uint64_t)(cx))

static void moves(void)
{
    fill();
    struct regs r = rep_movsb(a + 1, b + 2, 5, 0);
    CHECK_REGS(r, a + 6, b + 7, 0);
    CHECK(copied(1, 2, 5));
    fill();
    r = rep_movsw(a + 1, b + 3, 5, 0);
    CHECK_REGS(r, a + 11, b + 13, 0);
    CHECK(copied(1, 3, 10));
    fill();
    r = rep_movsl(a, b, 7, 0);
    CHECK_REGS(r, a + 28, b + 28, 0);
    CHECK(copied(0, 0, 28));
    fill();
    r = rep_movsq(a + 8, b + 5, 9, 0);
    CHECK_REGS(r, a + 80, b + 77, 0);
    CHECK(copied(8, 5, 72));
    fill();
    r = std_rep_movsb(a + 20, b + 30, 4, 0);
    CHECK_REGS(r, a + 16, b + 26, 0);
    CHECK(copied(17, 27, 4));
    fill();
    r = std_rep_movsq(a + 24, b + 40, 3, 0);
    CHECK_REGS(r, a, b + 16, 0);
    CHECK(copied(8, 24, 24));
    fill();
    r = movsl(a, b, 3, 0);
    CHECK_REGS(r, a + 4, b + 4, 3);
    fill();
    r = rep_movsb(a, b, 0, 0);
    CHECK_REGS(r, a, b, 0);
    CHECK(copied(0, 0, 0));
}

// A forward copy one element up repeats the first element; a backward one moves the block.
static void overlaps(void)
{
    fill();
    rep_movsb(a, a + 1, 50, 0);
    bool same = true;
    for (unsigned i = 0; i <= 50; i++)
        same &= a[i] == 3;
    CHECK(same && a[51] == (uint8_t)(51 * 7 + 3));
    fill();
    rep_movsq(a, a + 4, 4, 0); // each load sees half of the store before it: a[16] gets the old a[12], not a[4]
    CHECK(a[8] == 4 * 7 + 3 && a[12] == 4 * 7 + 3 && a[16] == 12 * 7 + 3 && a[20] == 12 * 7 + 3);
    CHECK(a[32] == 28 * 7 + 3 && a[35] == 31 * 7 + 3 && a[36] == (uint8_t)(36 * 7 + 3));
    fill();
    std_rep_movsb(a + 49, a + 50, 50, 0);
    bool moved = true;
    for (unsigned i = 1; i <= 50; i++)
        moved &= a[i] == (uint8_t)((i - 1) * 7 + 3);
    CHECK(moved);
}

static void stores_and_loads(void)
{
    fill();
    struct regs r = rep_stosb(a, b, 3, 0x11223344aabbccdd);
    CHECK(r.rdi == (uint64_t)(b + 3) && b[2] == 0xdd && b[3] == 0);
    r = rep_stosw(a, b, 3, 0x11223344aabbccdd);
    CHECK(r.rdi == (uint64_t)(b + 6) && b[4] == 0xdd && b[5] == 0xcc && b[6] == 0);
    r = rep_stosl(a, b, 3, 0x11223344aabbccdd);
    CHECK(r.rdi == (uint64_t)(b + 12) && b[8] == 0xdd && b[11] == 0xaa && b[12] == 0);
    r = rep_stosq(a, b, 3, 0x11223344aabbccdd);
    CHECK(r.rdi == (uint64_t)(b + 24) && b[16] == 0xdd && b[23] == 0x11 && b[24] == 0);
    r = std_stosw(a, b + 64, 1, 0x1234);
    CHECK(r.rdi == (uint64_t)(b + 62) && b[64] == 0x34 && b[65] == 0x12 && r.rcx == 1);
    r = lodsb(a + 1, b, 0, ~0ull);
    CHECK(r.rsi == (uint64_t)(a + 2) && r.rax == 0xffffffffffffff0a);
    r = lodsl(a, b, 0, ~0ull);
    CHECK(r.rsi == (uint64_t)(a + 4) && r.rax == 0x18110a03);
    r = rep_lodsq(a, b, 2, ~0ull);
    CHECK(r.rsi == (uint64_t)(a + 16) && r.rax == *(uint64_t *)(a + 8) && r.rcx == 0);
    r = std_lodsw(a + 2, b, 0, 0);
    CHECK(r.rsi == (uint64_t)a && r.rax == 0x1811);
}

static void compares(void)
{
    fill();
    struct regs r = repne_scasb(a, a, 100, a[9]);
    CHECK(r.rdi == (uint64_t)(a + 10) && r.rcx == 90 && r.flags & FLAG_ZF);
    r = repne_scasb(b, b, 20, 1); // not there; the flags are those of 1 - 0
    CHECK(r.rdi == (uint64_t)(b + 20) && r.rcx == 0 && (r.flags & FLAGS_ARITH) == 0);
    b[17] = 1;
    r = repe_scasq(b, b, 9, 0); // 0 - 0x100
    CHECK(r.rdi == (uint64_t)(b + 24) && r.rcx == 6 && (r.flags & FLAGS_ARITH) == (FLAG_CF | FLAG_SF | FLAG_PF));
    r = std_repne_scasw(b, b + 30, 10, 0x100);
    CHECK(r.rdi == (uint64_t)(b + 14) && r.rcx == 2 && r.flags & FLAG_ZF);
    r = scasl(b, b, 5, 0);
    CHECK(r.rdi == (uint64_t)(b + 4) && r.rcx == 5 && r.flags & FLAG_ZF);
    rep_movsb(a, b, sizeof a, 0);
    b[40] ^= 0x80;
    r = repe_cmpsb(a, b, 100, 0);
    CHECK_REGS(r, a + 41, b + 41, 59);
    CHECK((r.flags & FLAG_ZF) == 0);
    r = repne_cmpsl(a + 40, b + 40, 5, 0);
    CHECK_REGS(r, a + 48, b + 48, 3);
    r = repe_cmpsb(a, b, 0, 0);
    CHECK_REGS(r, a, b, 0);
    r = repe_cmpsb_none(a, b, 1, 0); // nothing is compared: the flags stay those of xor
    CHECK((r.flags & (FLAG_ZF | FLAG_PF | FLAG_CF | FLAG_SF | FLAG_OF)) == (FLAG_ZF | FLAG_PF));
}

// Two pages far apart that are neighbours in the guest's address space.
static void across_pages(void)
{
    uint8_t *va = (uint8_t *)0x400000000000;
    uint8_t *second = page_alloc(), *first = page_alloc();
    map_page((uint64_t)va, phys_of(first), PTE_P | PTE_W);
    map_page((uint64_t)va + 4096, phys_of(second), PTE_P | PTE_W);
    fill();
    struct regs r = rep_movsq(a, va + 4096 - 29, 8, 0);
    CHECK(r.rdi == (uint64_t)(va + 4096 + 35) && first[4067] == a[0] && first[4095] == a[28] && second[0] == a[29] &&
          second[34] == a[63] && second[35] == 0);
    r = rep_movsb(va + 4067, b, 64, 0);
    CHECK(copied(0, 0, 64));
    r = repe_cmpsb(a, va + 4067, 100, 0);
    CHECK_EQ(r.rcx, 35);
}

// With 32-bit addresses (0x67) esi, edi and ecx count, and what is written to them clears the upper halves.
static void short_addresses(void)
{
    fill();
    uint64_t from = phys_of(a), to = phys_of(b), high = 0x5500000000;
    struct regs r = rep_movsb_addr32((void *)(from | high), (void *)(to | high), 3 | high, 0);
    CHECK(copied(0, 0, 3));
    CHECK_REGS(r, from + 3, to + 3, 0);
}

int image_main(void)
{
    moves();
    overlaps();
    stores_and_loads();
    compares();
    across_pages();
    short_addresses();
    return 0;
}
