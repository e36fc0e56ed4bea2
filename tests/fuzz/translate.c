// SPDX-License-Identifier: BSD-2-Clause
// Fuzzing the translator: random bytes as guest code, at CPL 0 and at CPL 3, on bt and on interp. First in step, an
// instruction at a time, with the whole state and all RAM compared; then, where that came to an end, by bt as it runs
// guests, translating many instructions at once, to the same end. A guest that broke out would end the process.
//
// Where right engines may differ, the two are made the same (undefined flags, what the TSC and the random number
// generator gave), or the input is given up (goes_its_own_way, and vector instructions that CPUID does not announce,
// which interp has nevertheless).
#include "tests/fuzz/fuzz.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "engines/bt/bt.h"
#include "engines/bt/vectors.h"
#include "include/vcpu.h"
#include "machine/cpuid.h"
#include "run/compare_flags.h"
#include "run/compare_state.h"
#include "run/guest_memory.h"
#include "x86/decode.h"
#include "x86/regs.h"

#define RAM_SIZE (2ull << 20)
#define STEPS 64
#define HANG_SECONDS 900
#define HANG_CPU_SECONDS 60
#define CODE_MAX 192
#define DEVICE 0x200000ull // guest-virtual; everything that is read there is made of the address
#define DEVICE_GPA 0xd0000000ull

// Guest-physical and -virtual: the lower half of RAM is the supervisor's, the upper half the user's.
enum {
    PML4 = 0x1000,
    PDPT = 0x2000,
    PD = 0x3000,
    PT = 0x4000,
    GDT = 0x5000,
    IDT = 0x6000,
    TSS = 0x7000,
    HANDLERS = 0x8000, // 16 bytes each: a hlt
    KERNEL = 0x10000,
    USER = 0x100000,
    CODE = 0x800,   // from KERNEL or USER
    DATA = 0x10000, // likewise
    STACK = 0x20000,
};
enum { CS0 = 0x08, SS0 = 0x10, SS3 = 0x23, CS3 = 0x2b, TR = 0x30 };

const char fuzz_name[] = "translate";
const unsigned fuzz_runs = 1500;

struct side {
    struct guest_ram ram;
    struct vcpu vcpu;
    struct vcpu_state state;
    enum vcpu_exit exit;
    uint64_t io; // a hash of what went to and fro
};

static struct side interp, bt;
static struct cpuid_leaf leaves[MACHINE_CPUID_LEAVES];
static struct x86_decoder decoder;
static uint8_t *pristine; // RAM before each run, but for the code
static const uint8_t *input;
static size_t input_size;

// ---- An input that does not end ----

// libFuzzer's own timer would not do: its signal finds the guest's stack in rsp.
static atomic_ulong inputs;

static long cpu_seconds(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) ? 0 : t.tv_sec;
}

// By the process's own time, above all: a locked access over two pages stands still on some hosts (docs/testing.md),
// for longer the busier they are.
static void *watch_inputs(void *unused)
{
    (void)unused;
    unsigned long last = 0, idle = 0;
    for (long since = 0; idle < HANG_SECONDS && cpu_seconds() - since < HANG_CPU_SECONDS; idle++) {
        sleep(1);
        unsigned long now = atomic_load(&inputs);
        if (now != last)
            last = now, idle = 0, since = cpu_seconds();
    }
    fuzz_failed("an input ends", __LINE__, input, input_size);
}

// ---- What the guest meets outside of RAM ----

// As the machine's bus does.
static uint64_t in_size(uint64_t v, unsigned size)
{
    return size < 8 ? v & ((1ull << 8 * size) - 1) : v;
}
static uint64_t answer(struct side *s, uint64_t where, unsigned size)
{
    s->io = (s->io ^ where ^ size) * 0x100000001b3;
    return in_size(s->io, size);
}
static enum vcpu_exit pio_read(void *side, uint16_t port, unsigned size, uint32_t *value)
{
    *value = (uint32_t)answer(side, port, size);
    return VCPU_CONTINUE;
}
static enum vcpu_exit pio_write(void *side, uint16_t port, unsigned size, uint32_t value)
{
    answer(side, port + (in_size(value, size) << 16), size);
    return VCPU_CONTINUE;
}
static enum vcpu_exit mmio_read(void *side, gpa_t at, unsigned size, uint64_t *value)
{
    *value = answer(side, at.v, size);
    return VCPU_CONTINUE;
}
static enum vcpu_exit mmio_write(void *side, gpa_t at, unsigned size, uint64_t value)
{
    answer(side, at.v ^ in_size(value, size) << 20, size);
    return VCPU_CONTINUE;
}
static int acknowledge(void *side)
{
    (void)side;
    return -1;
}
static void tpr_lowered(void *side)
{
    (void)side;
}
static void apic_base_written(void *side, uint64_t value)
{
    ((struct side *)side)->vcpu.apic_base = value;
}

// ---- The guest's tables ----

static void put(uint64_t at, uint64_t v)
{
    memcpy(pristine + at, &v, sizeof v);
}

static void make_tables(void)
{
    const uint64_t all = PTE_P | PTE_W | PTE_U;
    put(PML4, PDPT | all);
    put(PDPT, PD | all);
    put(PD, PT | all);
    put(PD + 8, DEVICE_GPA | all | PTE_PS | PTE_PCD | PTE_PWT);
    put(PD + 16, 0 | all | PTE_PS); // all of RAM again, and the user's
    for (uint64_t page = 0; page < 512; page++)
        put(PT + 8 * page, page << 12 | PTE_P | PTE_W | (page << 12 >= USER ? PTE_U : 0));
    put(PT + 8 * ((USER + DATA + 0x3000) >> 12), 0); // a hole behind the user's data
    put(GDT + CS0, 0x00af9b000000ffff);
    put(GDT + SS0, 0x00cf93000000ffff);
    put(GDT + (SS3 & ~7), 0x00cff3000000ffff);
    put(GDT + (CS3 & ~7), 0x00affb000000ffff);
    put(GDT + TR, 0x0000890000000067 | (uint64_t)TSS << 16);
    put(TSS + 4, KERNEL + STACK);
    put(TSS + 100, 104ull << 16); // no I/O permission map
    for (uint64_t v = 0; v < 256; v++) {
        uint64_t to = HANDLERS + v * 16, attr = SEG_P | SEG_TYPE_INTERRUPT_GATE | (v % 2 ? 3u << SEG_DPL_SHIFT : 0);
        put(IDT + v * 16, (to & 0xffff) | CS0 << 16 | attr << 40 | to >> 16 << 48);
        pristine[to] = 0xf4;
    }
}

static int make_side(struct side *s, const struct engine *engine)
{
    s->ram = (struct guest_ram){.size = RAM_SIZE, .memfd = memfd_create("fuzz", MFD_CLOEXEC)};
    if (s->ram.memfd < 0 || ftruncate(s->ram.memfd, (off_t)RAM_SIZE))
        return -1;
    s->ram.base = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, s->ram.memfd, 0);
    s->vcpu = (struct vcpu){
        .engine = engine,
        .ram = &s->ram,
        .bus = {s, pio_read, pio_write, mmio_read, mmio_write, acknowledge, tpr_lowered, apic_base_written},
        .cpuid = machine_cpuid(leaves, x86_host_features()),
        .settings = engine == &engine_bt ? "user=translated" : NULL,
    };
    return s->ram.base == MAP_FAILED ? -1 : engine->create(&s->vcpu);
}

const char *fuzz_start(void)
{
    static struct engine_info info;
    engine_bt.probe(&info);
    if (!info.available)
        return info.reason;
    pristine = calloc(1, RAM_SIZE);
    if (!pristine || x86_decoder_open(&decoder) || make_side(&interp, &engine_interp) || make_side(&bt, &engine_bt))
        return "an engine cannot be made";
    make_tables();
    pthread_t thread;
    return pthread_create(&thread, NULL, watch_inputs, NULL) ? "no thread to watch it" : NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    region_fix_layout(*argv);
    const char *reason = fuzz_start();
    if (reason)
        fprintf(stderr, "%s\n", reason);
    return reason != NULL;
}

// ---- The state that an input begins with ----

static struct segment flat(uint16_t selector, unsigned attr)
{
    return (struct segment){.limit = UINT32_MAX, .selector = selector, .attr = (uint16_t)attr};
}

static uint64_t value(uint64_t *rng, unsigned how, uint64_t home)
{
    uint64_t v = fuzz_random(rng);
    switch (how % 10) {
    case 0:
        return v % 300;
    case 1:
        return home + DATA + v % 0x3000;
    case 2:
        return home + CODE + v % CODE_MAX;
    case 3:
        return DEVICE + v % 0x1000;
    case 4:
        return home + STACK - v % 64;
    case 5:
        return home + DATA + 0x1000 * (v % 4) - v / 4 % 9; // about the end of a page
    case 6:
        return (v >> 39 & 0x1ff) == 1 ? 0 : v; // not where the monitor is (engines/bt/layout.h)
    case 7:
        return 0 - v % 3;
    case 8:
        return 0x400000 + v % RAM_SIZE; // RAM by its other address
    default:
        return (uint32_t)v;
    }
}

static bool announced(uint32_t leaf, char reg, unsigned bit)
{
    const struct cpuid_table *t = &interp.vcpu.cpuid;
    for (size_t i = 0; i < t->count; i++)
        if (t->leaves[i].leaf == leaf && t->leaves[i].subleaf == 0)
            return ((reg == 'b' ? t->leaves[i].ebx : reg == 'c' ? t->leaves[i].ecx : t->leaves[i].edx) >> bit & 1) != 0;
    return false;
}

static uint64_t cr4_of(unsigned config)
{
    uint64_t cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cr4 |= (config & 1) && announced(7, 'b', 7) ? CR4_SMEP : 0;
    cr4 |= (config & 2) && announced(7, 'b', 20) ? CR4_SMAP : 0;
    cr4 |= (config & 4) && announced(7, 'b', 0) ? CR4_FSGSBASE : 0;
    cr4 |= announced(1, 'c', 26) ? CR4_OSXSAVE : 0;
    return cr4;
}

static void begin_state(struct vcpu_state *s, struct fuzz_bytes *b, unsigned cpl)
{
    static const struct {
        uint16_t fcw;
        uint8_t zero[22];
        uint32_t mxcsr, mxcsr_mask;
    } legacy = {.fcw = 0x37f, .mxcsr = 0x1f80, .mxcsr_mask = 0xffff};
    unsigned config = (unsigned)fuzz_take(b, 1);
    uint64_t rng = fuzz_take(b, 4) | 1ull << 40, home = cpl ? USER : KERNEL;
    memset(s, 0, sizeof *s);
    for (int i = 0; i < GPR_COUNT; i++)
        s->gpr[i] = value(&rng, (unsigned)fuzz_take(b, 1), home);
    if (fuzz_random(&rng) % 16)
        s->gpr[RSP] = home + STACK - fuzz_random(&rng) % 64;
    s->gpr[RCX] %= fuzz_random(&rng) % 16 ? 256 : 1u << 20;
    s->rip = home + CODE;
    s->rflags = FLAG_FIXED1 | (fuzz_random(&rng) & (FLAGS_ARITH | FLAG_DF | FLAG_AC | FLAG_ID));
    s->rflags |= config & 0x80 && config & 0x40 ? FLAG_TF : 0;
    unsigned attr = SEG_S | SEG_P | SEG_G | cpl << SEG_DPL_SHIFT;
    for (int i = 0; i < SEG_COUNT; i++)
        s->seg[i] = flat(cpl ? SS3 : SS0, attr | SEG_DB | 3);
    s->seg[SEG_CS] = flat(cpl ? CS3 : CS0, attr | SEG_L | 0xb);
    s->seg[SEG_GS].base = home + DATA;
    s->ldtr.unusable = true;
    s->tr = (struct segment){.base = TSS, .limit = 0x67, .selector = TR, .attr = SEG_P | SEG_TYPE_TSS_BUSY};
    s->gdtr = (struct table_reg){GDT, 0x3f};
    s->idtr = (struct table_reg){IDT, 0xfff};
    s->cr0 = CR0_PE | CR0_PG | CR0_ET | CR0_NE | CR0_MP | (config & 8 ? CR0_WP : 0) | (config & 16 ? CR0_AM : 0);
    s->cr3 = PML4;
    s->cr4 = cr4_of(config);
    s->efer = EFER_LME | EFER_LMA | EFER_SCE | (config & 32 ? EFER_NXE : 0);
    s->pat = PAT_RESET;
    s->dr6 = 0xffff0ff0;
    s->dr7 = 0x400;
    s->xcr0 = 1;
    s->star = (uint64_t)CS0 << 32 | (uint64_t)(SS3 - 8) << 48;
    s->lstar = HANDLERS + 0x80 * 16;
    s->kernel_gs_base = KERNEL + DATA;
    s->apic_base = APIC_DEFAULT_ADDR | 0x900;
    memcpy(s->xsave, &legacy, sizeof legacy);
    s->xsave[512] = 3;
    for (int i = 160; i < 416; i++)
        s->xsave[i] = (uint8_t)fuzz_random(&rng);
}

static void begin(struct side *s, const struct vcpu_state *state, const uint8_t *code, size_t length)
{
    memcpy(s->ram.base, pristine, RAM_SIZE);
    uint8_t *to = s->ram.base + state->rip;
    memset(to, 0x90, CODE_MAX + 1);
    memcpy(to, code, length);
    to[CODE_MAX + 1] = 0xf4;
    s->io = 0;
    s->vcpu.cr8 = 0;
    s->vcpu.tpr_threshold = 0;
    s->state = *state;
    if (s->vcpu.engine->set_state(&s->vcpu, state))
        fuzz_failed(s->vcpu.error, __LINE__, input, input_size);
}

// ---- In step ----

static void explain(const char *what, uint64_t rip)
{
    struct differences d = {.count = 0};
    uint8_t code[X86_MAX_INSN];
    char text[128] = "";
    state_compare(&interp.state, &bt.state, &d);
    size_t n = guest_read(&interp.ram, &interp.state, rip, code, sizeof code);
    if (n)
        x86_format(code, n, rip, text, sizeof text);
    fprintf(stderr, "%s: %s\nexit: interp %d, bt %d\n", what, text, interp.exit, bt.exit);
    for (size_t i = 0; i < d.count; i++)
        fprintf(stderr, "%s: interp %" PRIx64 ", bt %" PRIx64 "\n", d.list[i].name, d.list[i].value[0],
                d.list[i].value[1]);
    for (uint64_t at = 0, said = 0; at < RAM_SIZE && said < 16; at++)
        if (interp.ram.base[at] != bt.ram.base[at] && said++ < 16)
            fprintf(stderr, "[%" PRIx64 "]: interp %02x, bt %02x\n", at, interp.ram.base[at], bt.ram.base[at]);
    fuzz_failed(what, __LINE__, input, input_size);
}

static void step(struct side *s)
{
    do
        s->exit = s->vcpu.engine->run(&s->vcpu, 1);
    while (s->exit == VCPU_EXIT_KICK);
    if (s->exit == VCPU_EXIT_ERROR && !strstr(s->vcpu.error, "compatibility mode"))
        fuzz_failed(s->vcpu.error, __LINE__, input, input_size);
    s->vcpu.engine->get_state(&s->vcpu, &s->state);
}

// Code of 32 and 16 bits is not what this is about.
static bool left_64_bits(const struct side *s)
{
    return s->exit == VCPU_EXIT_ERROR || !(s->state.seg[SEG_CS].attr & SEG_L);
}

static bool set(struct side *s)
{
    return s->vcpu.engine->set_state(&s->vcpu, &s->state) == 0;
}

// What the host's clock and random number generator gave is made the same.
static bool from_outside(const struct insn *in)
{
    switch (in->id) {
    case X86_INS_RDTSC:
    case X86_INS_RDTSCP:
    case X86_INS_RDMSR:
    case X86_INS_RDRAND:
    case X86_INS_RDSEED:
    case X86_INS_RDPMC:
        return true;
    default:
        return false;
    }
}

// Without x87 in CPUID there are no instructions that save and load its state either.
static bool is_announced(const struct insn *in)
{
    bool x87 = (in->opcode[0] & 0xf8) == 0xd8 || in->opcode[0] == 0x9b;
    bool state = in->opcode[0] == 0x0f && (in->opcode[1] == 0xae || in->opcode[1] == 0xc7 || in->opcode[1] == 0x77);
    return vectors_announced(bt.vcpu.engine_data, in) && (!(x87 || state) || announced(1, 'd', 0));
}

static bool in_handler(void)
{
    return interp.state.rip >= HANDLERS && interp.state.rip < HANDLERS + 0x1000;
}

// Operands of more than 8 bytes reach a device in pieces as the processor likes (SDM vol. 3, 8.1.1).
static bool in_pieces(const struct insn *in)
{
    for (unsigned i = 0; i < in->operands && interp.io != bt.io; i++)
        if (in->op[i].kind == OPERAND_MEM && in->op[i].size > 8)
            return true;
    return false;
}

// Where two right engines differ, and what they saw is in memory already: undefined flags that a trap behind the
// instruction has pushed, a random rsp that it has pushed or pushed to (rdrand: SDM vol. 2), those of a repeated cmps
// or scas that faults (AMD's and Intel's processors differ as well), and branch targets that are not canonical, at
// which bt faults, and not at the branch (docs/bt.md).
static bool goes_its_own_way(const struct insn *in, bool traced)
{
    bool string = (in->rep || in->repne) && strchr("\xa6\xa7\xae\xaf", in->opcode[0]) && in->opcode[0];
    bool ended = in_handler() || interp.exit == VCPU_EXIT_SHUTDOWN;
    return (traced && (undefined_flags(in) || from_outside(in))) || (string && ended) || in_pieces(in) ||
           !canonical(bt.state.rip);
}

struct stretch {
    unsigned steps;
    bool pure; // nothing had to be made the same, no cmps may have faulted at either operand, and no branch has faulted
};

static void make_same(const struct insn *in, struct stretch *all)
{
    uint64_t flags = interp.state.rflags ^ bt.state.rflags;
    bool branch = in->opcode[0] == 0xff || in->opcode[0] == 0xc2 || in->opcode[0] == 0xc3;
    all->pure = all->pure && in->opcode[0] != 0xa6 && in->opcode[0] != 0xa7 && !(branch && in_handler());
    bool outside = from_outside(in);
    if (outside)
        memcpy(bt.state.gpr, interp.state.gpr, sizeof bt.state.gpr);
    if ((flags && !(flags & ~undefined_flags(in))) || outside)
        bt.state.rflags = interp.state.rflags;
    else
        return;
    all->pure = false;
    if (!set(&bt))
        fuzz_failed(bt.vcpu.error, __LINE__, input, input_size);
}

static bool state_same(void)
{
    struct differences d = {.count = 0};
    state_compare(&interp.state, &bt.state, &d);
    return interp.exit == bt.exit && !d.count && interp.io == bt.io;
}

// A repeated instruction has overwritten itself: a processor may go on with what it was or not.
static bool overwritten(uint64_t rip, const uint8_t *code, size_t length)
{
    uint8_t now[X86_MAX_INSN];
    return guest_read(&interp.ram, &interp.state, rip, now, length) < length || memcmp(code, now, length);
}

static bool in_step(struct stretch *all)
{
    struct insn in;
    *all = (struct stretch){.pure = true};
    for (; all->steps < STEPS; all->steps++) {
        uint8_t code[X86_MAX_INSN];
        uint64_t rip = interp.state.rip;
        bool traced = interp.state.rflags & FLAG_TF;
        size_t n = guest_read(&interp.ram, &interp.state, rip, code, sizeof code);
        bool decoded = x86_decode(&decoder, code, n, rip, &in);
        if (decoded && !is_announced(&in))
            return false;
        step(&interp);
        step(&bt);
        if (left_64_bits(&interp) || left_64_bits(&bt))
            return false;
        if (decoded && (goes_its_own_way(&in, traced) || overwritten(rip, code, in.length)))
            return false;
        if (decoded)
            make_same(&in, all);
        if (!state_same())
            explain("in step, a state", rip);
        if (interp.exit != VCPU_EXIT_BUDGET)
            break;
    }
    if (memcmp(interp.ram.base, bt.ram.base, RAM_SIZE))
        explain("in step, memory", 0);
    return true;
}

// ---- As guests are run ----

// All RAM, but for accessed and dirty bits that bt has in addition. A processor may set the former for an access that
// it has not come to in the end (SDM vol. 3, 4.8), as bt does for the second operand of an instruction whose first one
// faults; the latter is the stack's, which bt's rets store to (docs/bt.md).
static bool memory_same(void)
{
    if (!memcmp(interp.ram.base, bt.ram.base, RAM_SIZE))
        return true;
    for (uint64_t at = 0; at < RAM_SIZE; at++) {
        uint8_t differ = interp.ram.base[at] ^ bt.ram.base[at];
        bool used = at >= PML4 && at < PT + 0x1000 && at % 8 == 0 && !(differ & ~(PTE_A | PTE_D)) &&
                    (bt.ram.base[at] & differ) == differ;
        if (differ && !used)
            return false;
    }
    return true;
}

static void by_translation(const struct vcpu_state *start, const uint8_t *code, size_t length)
{
    enum vcpu_exit exit = interp.exit;
    begin(&bt, start, code, length);
    do
        bt.exit = bt.vcpu.engine->run(&bt.vcpu, 0);
    while (bt.exit == VCPU_EXIT_KICK);
    bt.vcpu.engine->get_state(&bt.vcpu, &bt.state);
    interp.exit = exit;
    if (!state_same() || !memory_same())
        explain("by translation", start->rip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes b = {.data = data, .size = size};
    struct vcpu_state start;
    struct stretch all;
    atomic_fetch_add(&inputs, 1);
    input = data;
    input_size = size;
    unsigned way = (unsigned)fuzz_take(&b, 1), cpl = way & 1 ? 3 : 0;
    begin_state(&start, &b, cpl);
    size_t left = b.at < size ? size - b.at : 0, length = left < CODE_MAX ? left : CODE_MAX;
    ((struct bt *)bt.vcpu.engine_data)->options.checked = (way & 2) != 0;
    begin(&interp, &start, data + b.at, length);
    begin(&bt, &start, data + b.at, length);
    if (in_step(&all) && all.pure && interp.exit == VCPU_EXIT_HALT)
        by_translation(&start, data + b.at, length);
    return 0;
}

// Beginnings of instructions, with what random bytes make of them.
size_t fuzz_input(uint8_t *data, uint64_t *rng)
{
    static const char *const openings[] = {
        "\x0f\x01", "\x0f\x20", "\x0f\x22", "\x0f\x32", "\x0f\x30", "\x0f\xa3", "\x0f\xab", "\x0f\xb0", "\x0f\xc0",
        "\x0f\xc7", "\x0f\x38", "\x0f\x3a", "\x0f\xae", "\x66\x0f", "\xf3\x0f", "\xf2\x0f", "\x0f\x10", "\x0f\x6f",
        "\xc5",     "\xc4\xe2", "\xd8",     "\xdb",     "\xdd",     "\x48\x8b", "\x48\x89", "\x48\x01", "\x41\x29",
        "\x83",     "\x81",     "\xff",     "\xf7",     "\xf6",     "\xc1",     "\xd3",     "\xa4",     "\xf3\xa4",
        "\xf3\xab", "\xf3\xa6", "\xe8",     "\xeb",     "\x74",     "\x0f\x84", "\xc3",     "\x50",     "\x5b",
        "\x8f",     "\xc8",     "\xc9",     "\x9c",     "\x9d",     "\xcf",     "\x48\xcf", "\xcd",     "\x8e",
        "\x8c",     "\xe4",     "\xe6",     "\x6c",     "\x6e",     "\x65\x48", "\x64",     "\xf0\x48", "\x67",
        "\x66",     "\xe3",     "\xe2",     "\x0f\xba", "\x0f\xaf", "\x6b",     "\xd7",     "\x86",     "\x87"};
    size_t size = 0, end = 22 + 4 + fuzz_random(rng) % 60;
    while (size < 22)
        data[size++] = (uint8_t)fuzz_random(rng);
    while (size < end) {
        const char *opening = openings[fuzz_random(rng) % (sizeof openings / sizeof *openings)];
        size_t n = strlen(opening);
        memcpy(data + size, opening, n);
        size += n;
        for (n = fuzz_random(rng) % 6; n; n--)
            data[size++] = (uint8_t)fuzz_random(rng);
    }
    return size;
}
