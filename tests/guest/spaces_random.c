// SPDX-License-Identifier: BSD-2-Clause
// Random changes to the page tables of several address spaces, random switches and flushes between them, and what may
// be seen: the entry as it is, or as it was at any time since the guest last flushed it (SDM vol. 3, 4.10.2 to 4.10.4).
// What is behind a flush has to be true.
#include "tests/guest/access.h"
#include "tests/guest/feature.h"
#include "tests/guest/space.h"
#define LOW 0x6000000000ull // in no region that changes
#include "tests/guest/low.h"

IMAGE("spaces_random");

#define SPACES 3
#define ADDRESSES 5 // beside one another, but for the last
#define FRAMES 6
#define ABSENT FRAMES // as a frame's number: nothing is mapped
#define BASE 0x4000200000ull
#define STEPS 3000
#define READ_ONLY 8 // added to a frame's number

// Bit frame (or frame + READ_ONLY): the entry may be used as if it said so.
typedef uint32_t uses;

static uint64_t root[SPACES], kernel_root;
static uint8_t *frame[FRAMES];
static unsigned entry_is[SPACES][ADDRESSES];
static uses may_be[SPACES][ADDRESSES];
static unsigned now;
static bool pcids, has_invpcid;
static uint64_t seed = 1;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (unsigned)((seed >> 33) % n);
}

static uint64_t va_of(unsigned address)
{
    return BASE + (address == ADDRESSES - 1 ? 0x40000000ull : address * PAGE);
}

// What is true from now on: the entry as it is.
static void settle(unsigned space, unsigned address)
{
    may_be[space][address] = 1u << entry_is[space][address];
}

static void settle_space(unsigned space)
{
    for (unsigned i = 0; i < ADDRESSES; i++)
        settle(space, i);
}

static uint64_t *entries[SPACES][ADDRESSES];

static void change(void)
{
    unsigned space = pick(SPACES), address = pick(ADDRESSES), to = pick(FRAMES + 1);
    to += to != ABSENT && !pick(3) ? READ_ONLY : 0;
    uint64_t rights = PTE_P | PTE_U | (to & READ_ONLY ? 0 : PTE_W) | (pick(2) ? PTE_A | PTE_D : 0);
    *entries[space][address] = to == ABSENT ? 0 : phys_of(frame[to % READ_ONLY]) | rights;
    if (to != ABSENT) // that nothing is there is never remembered
        may_be[space][address] &= ~(1u << ABSENT);
    entry_is[space][address] = to;
    may_be[space][address] |= 1u << to;
}

static void enter(void)
{
    bool keep = pcids && pick(3);
    now = pick(SPACES);
    write_cr3(root[now] | (pcids ? now + 1 : 0) | (keep ? CR3_NOFLUSH : 0));
    for (unsigned i = 0; i < SPACES && !keep; i++)
        if (!pcids || i == now)
            settle_space(i);
}

static void flush_one(void)
{
    unsigned address = pick(ADDRESSES);
    invlpg((void *)(va_of(address) + pick(PAGE)));
    settle(now, address);
}

static void flush_all(void)
{
    uint64_t cr4 = read_cr4();
    write_cr4(cr4 ^ CR4_PGE);
    write_cr4(cr4);
    for (unsigned i = 0; i < SPACES; i++)
        settle_space(i);
}

static void flush_by_pcid(void)
{
    unsigned kind = pick(4), space = pick(SPACES), address = pick(ADDRESSES);
    struct {
        uint64_t pcid, address;
    } descriptor = {kind < 2 ? space + 1 : 0, kind ? 0 : va_of(address)};
    __asm__ volatile("invpcid %1, %0" : : "r"((uint64_t)kind), "m"(descriptor) : "memory");
    for (unsigned i = 0; i < SPACES; i++)
        if (kind && (kind > 1 || i == space))
            settle_space(i);
    if (!kind)
        settle(space, address);
}

// ---- Looking ----

static USER_CODE uint64_t get(void *va)
{
    return *(volatile uint8_t *)va;
}

static USER_CODE uint64_t put(void *va) // leaves what is there; one access, as two may see two entries
{
    uint8_t value = 0;
    __asm__ volatile("lock; xaddb %0, (%1)" : "+q"(value) : "r"(va) : "memory", "cc");
    return value;
}

struct look {
    uint64_t (*fn)(void *);
    void *va;
    uint64_t got;
};

static void by_user(void *arg)
{
    struct look *look = arg;
    look->got = low_run(look->fn, (uint64_t)look->va);
}

static void by_kernel(void *arg)
{
    struct look *look = arg;
    look->got = look->fn(look->va);
}

static USER_CODE uint64_t call(void *va) // mov $number, %eax; ret
{
    return ((uint64_t(*)(void))(uint64_t)va)();
}

static bool allowed(uses u, unsigned got, bool fault, bool write)
{
    if (fault)
        return u & 1u << ABSENT || (write && u >> READ_ONLY);
    return got < FRAMES && (u & 1u << got || (!write && u & 1u << (got + READ_ONLY)));
}

static void look_at(unsigned address)
{
    static uint64_t (*const functions[])(void *) = {get, put, call};
    unsigned way = pick(3);
    struct look look = {functions[way], (void *)(va_of(address) + (way == 2 ? 16 : 0)), ~0ull};
    struct caught c = catch_fault(way != 2 && pick(2) ? by_kernel : by_user, &look);
    bool fault = c.vector >= 0;
    if (fault && c.vector != VEC_PF)
        panic("vector %d", c.vector);
    if (!allowed(may_be[now][address], (unsigned)look.got, fault, way == 1))
        panic("space %u address %u by way %u: saw %lx fault %d, may be 0x%x", now, address, way, look.got, fault,
              may_be[now][address]);
}

// ---- The whole ----

static void make_frames(void)
{
    for (unsigned i = 0; i < FRAMES; i++) {
        frame[i] = page_alloc();
        frame[i][0] = (uint8_t)i;
        frame[i][16] = 0xb8, frame[i][17] = (uint8_t)i, frame[i][21] = 0xc3;
    }
}

static void make_spaces(void)
{
    for (unsigned i = 0; i < SPACES; i++) {
        root[i] = space_like(kernel_root);
        write_cr3(root[i]);
        for (unsigned k = 0; k < ADDRESSES; k++) {
            map_page(va_of(k), 0, 0);
            entries[i][k] = pte_of(va_of(k), 1);
            entry_is[i][k] = ABSENT;
        }
        settle_space(i);
    }
}

static void steps(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned what = pick(100);
        if (what < 30)
            change();
        else if (what < 45)
            enter();
        else if (what < 55)
            flush_one();
        else if (what < 56)
            flush_all();
        else if (what < 60 && pcids && has_invpcid)
            flush_by_pcid();
        else
            look_at(pick(ADDRESSES));
    }
}

int image_main(void)
{
    kernel_root = read_cr3();
    low_map();
    make_frames();
    make_spaces();
    unsigned n = (unsigned)option_u64("steps", STEPS);
    has_invpcid = HAS_INVPCID;
    seed = option_u64("seed", 1);
    now = SPACES - 1;
    steps(n);
    if (HAS_PCID) {
        write_cr3(kernel_root);
        write_cr4(read_cr4() | CR4_PCIDE);
        pcids = true;
        now = 0;
        write_cr3(root[0] | 1);
        flush_all();
        steps(n);
        write_cr3(kernel_root);
        write_cr4(read_cr4() & ~(uint64_t)CR4_PCIDE);
    } else {
        skip("no PCID");
    }
    CHECK(true);
    write_cr3(kernel_root);
    return 0;
}
