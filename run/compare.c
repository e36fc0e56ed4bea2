// SPDX-License-Identifier: BSD-2-Clause
// Keeping two engines in step. What could make two right engines differ is taken away: devices live by a clock that
// counts steps, a guest that reads the TSC reads that clock, random numbers are the same ones, and flags that the
// manual leaves undefined are made the same. So a second run goes exactly as the first one did, and finds the very step
// at which RAM came to differ.
#include "run/compare.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"
#include "run/compare_flags.h"
#include "run/guest_memory.h"
#include "run/watch.h"
#include "x86/decode.h"
#include "x86/regs.h"

#define NS_PER_STEP 1000              // a slow CPU: timers come often
#define STEPS_TO_RAM 16384            // between two looks at all RAM
#define HASH_START 0xcbf29ce484222325 // FNV-1a
#define HASH_FACTOR 0x100000001b3

struct side {
    struct machine *machine;
    struct vcpu *vcpu;
    struct vcpu_state state;
    enum vcpu_exit exit;
    uint64_t output; // a hash of what went out by the serial line, and of marks
};

struct pair {
    const struct compare_request *request;
    struct compare_outcome *outcome;
    struct side side[2];
    struct machine_clock clock;
    uint64_t now; // in ns
    struct watch *watch;
    struct x86_decoder decoder;
    bool watched;       // this page of RAM is compared after every step
    uint64_t watch_at;  // its guest-physical address
    uint64_t ram_since; // the last step after which RAM was the same
    size_t places;      // in the path, which is a ring of outcome->path
};

enum verdict { GO_ON, END };

__attribute__((format(printf, 3, 4))) static enum verdict ends(struct pair *p, enum exit_status status,
                                                               const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->outcome->reason, sizeof p->outcome->reason, format, args);
    va_end(args);
    p->outcome->status = status;
    return END;
}

static enum verdict different(struct pair *p)
{
    p->outcome->status = STATUS_DIFFERENT;
    p->outcome->reason[0] = '\0';
    return END;
}

// ---- What the machines call ----

static uint64_t steps_clock(void *pair)
{
    return ((struct pair *)pair)->now;
}

static void hash(struct side *s, uint64_t value)
{
    s->output = (s->output ^ value) * HASH_FACTOR;
}

static bool on_serial(void *side, uint8_t byte)
{
    hash(side, byte);
    return true;
}

static void on_mark(void *side, uint32_t value)
{
    hash(side, value | 1ull << 32);
}

// ---- Code ----

static struct compare_place *note_place(struct pair *p)
{
    struct compare_place *place = &p->outcome->path[p->places++ % COMPARE_PATH];
    const struct side *side = &p->side[0];
    const struct vcpu_state *s = &side->state;
    const struct segment *cs = &s->seg[SEG_CS];
    bool legacy = !(s->efer & EFER_LMA) || !(cs->attr & SEG_L);
    *place = (struct compare_place){.rip = s->rip, .rflags = s->rflags};
    place->mode = !legacy ? X86_CODE64 : cs->attr & SEG_DB ? X86_CODE32 : X86_CODE16;
    uint64_t at = legacy ? (uint32_t)(cs->base + s->rip) : s->rip;
    place->code_bytes = (uint8_t)guest_read(side->vcpu->ram, s, at, place->code, sizeof place->code);
    return place;
}

// The ring, oldest first.
static void straighten_path(struct pair *p)
{
    struct compare_place ring[COMPARE_PATH];
    size_t count = p->places < COMPARE_PATH ? p->places : COMPARE_PATH;
    memcpy(ring, p->outcome->path, sizeof ring);
    for (size_t i = 0; i < count; i++)
        p->outcome->path[i] = ring[(p->places - count + i) % COMPARE_PATH];
    p->outcome->path_length = count;
}

static bool is_prefix(uint8_t b)
{
    return b == 0x66 || b == 0x67 || b == 0xf2 || b == 0xf3 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 ||
           b == 0x64 || b == 0x65 || b >> 4 == 4;
}

// rdtsc, rdtscp, or rdmsr of the TSC.
static bool reads_tsc(const struct compare_place *place, uint64_t rcx)
{
    size_t i = 0;
    while (i < place->code_bytes && is_prefix(place->code[i]))
        i++;
    const uint8_t *c = place->code + i;
    size_t left = place->code_bytes - i;
    if (left < 2 || c[0] != 0x0f)
        return false;
    return c[1] == 0x31 || (left > 2 && c[1] == 0x01 && c[2] == 0xf9) || (c[1] == 0x32 && (uint32_t)rcx == MSR_TSC);
}

// ---- One step ----

static bool set_state(struct pair *p, struct side *s)
{
    if (s->vcpu->engine->set_state(s->vcpu, &s->state) == 0)
        return true;
    ends(p, STATUS_ENGINE_ERROR, "%s: %s", s->vcpu->engine->name, s->vcpu->error);
    return false;
}

static bool run_side(struct pair *p, struct side *s)
{
    watch_vcpu(p->watch, s->vcpu); // it may not come back by itself
    s->exit = s->vcpu->engine->run(s->vcpu, 1);
    watch_seen(p->watch);
    if (s->exit == VCPU_EXIT_ERROR)
        ends(p, STATUS_ENGINE_ERROR, "%s: %s", s->vcpu->engine->name, s->vcpu->error);
    else if (s->vcpu->engine->get_state(s->vcpu, &s->state))
        ends(p, STATUS_ENGINE_ERROR, "%s: %s", s->vcpu->engine->name, s->vcpu->error);
    else
        return true;
    return false;
}

static bool make_mistake(struct pair *p)
{
    const struct compare_fault *fault = &p->request->fault;
    struct side *s = &p->side[1];
    if (p->outcome->steps != fault->step)
        return true;
    if (fault->gpr >= 0) {
        s->state.gpr[fault->gpr] ^= 1;
        return set_state(p, s);
    }
    uint8_t *byte = ram_at(s->vcpu->ram, gpa(fault->address), 1);
    if (byte)
        *byte ^= 1;
    return true;
}

// The guest reads steps for the TSC. Only where the instruction was executed: it is two or three bytes and prefixes, or
// a single-step trap came behind it.
static bool same_time(struct pair *p, const struct compare_place *place, uint64_t rcx)
{
    if (!reads_tsc(place, rcx))
        return true;
    for (int i = 0; i < 2; i++) {
        struct side *s = &p->side[i];
        if (s->state.rip - place->rip > COMPARE_CODE && !(place->rflags & FLAG_TF))
            continue;
        s->state.gpr[RAX] = (uint32_t)p->now;
        s->state.gpr[RDX] = p->now >> 32;
        if (!set_state(p, s))
            return false;
    }
    return true;
}

// Each engine has the host's numbers from rdrand and rdseed: the second gets the first one's, with the flags.
static bool same_chance(struct pair *p, const struct compare_place *place)
{
    const struct vcpu_state *from = &p->side[0].state;
    struct vcpu_state *to = &p->side[1].state;
    struct insn in;
    bool random = place->code_bytes >= 3 &&
                  x86_decode_mode(&p->decoder, place->mode, place->code, place->code_bytes, place->rip, &in) &&
                  (in.id == X86_INS_RDRAND || in.id == X86_INS_RDSEED);
    bool executed = from->rip == place->rip + in.length || (place->rflags & FLAG_TF);
    if (!random || from->rip != to->rip || !executed)
        return true;
    to->gpr[in.op[0].reg] = from->gpr[in.op[0].reg];
    to->rflags = (to->rflags & ~(uint64_t)FLAG_CF) | (from->rflags & FLAG_CF);
    return set_state(p, &p->side[1]);
}

static bool same_flags(struct pair *p, const struct compare_place *place)
{
    uint64_t unequal = p->side[0].state.rflags ^ p->side[1].state.rflags;
    struct insn in;
    if (!unequal || !x86_decode_mode(&p->decoder, place->mode, place->code, place->code_bytes, place->rip, &in) ||
        (unequal & ~undefined_flags(&in)))
        return true;
    p->outcome->undefined++;
    p->side[1].state.rflags = p->side[0].state.rflags;
    return set_state(p, &p->side[1]);
}

static void compare_sides(struct pair *p)
{
    const struct side *a = &p->side[0], *b = &p->side[1];
    struct differences *d = &p->outcome->differences;
    difference_add(d, "exit", a->exit, b->exit);
    difference_add(d, "output", a->output, b->output);
    state_compare(&a->state, &b->state, d);
}

// ---- RAM ----

static void ram_difference(struct pair *p, uint64_t offset)
{
    const struct guest_ram *ram = p->side[0].vcpu->ram;
    const uint8_t *a = ram->base + offset, *b = p->side[1].vcpu->ram->base + offset;
    while (*a == *b)
        a++, b++;
    offset = (uint64_t)(a - ram->base);
    p->outcome->ram_differs = true;
    p->outcome->ram_address = offset < RAM_HOLE_START ? offset : offset + (RAM_HOLE_END - RAM_HOLE_START);
    p->outcome->ram_since = p->ram_since;
    p->outcome->ram_byte[0] = *a;
    p->outcome->ram_byte[1] = *b;
}

static bool page_same(const struct pair *p, uint64_t offset)
{
    return !memcmp(p->side[0].vcpu->ram->base + offset, p->side[1].vcpu->ram->base + offset, GUEST_PAGE_SIZE);
}

static bool ram_same(struct pair *p)
{
    p->outcome->ram_compared++;
    for (uint64_t at = 0; at < p->side[0].vcpu->ram->size; at += GUEST_PAGE_SIZE) {
        if (!page_same(p, at)) {
            ram_difference(p, at);
            return false;
        }
    }
    p->ram_since = p->outcome->steps;
    return true;
}

// After each step: the page that is watched, which alone was seen to differ; else from time to time all of it.
static bool ram_well(struct pair *p, bool at_end)
{
    if (p->watched) {
        uint64_t page = ram_offset(gpa(p->watch_at)) & GUEST_PAGE_MASK;
        if (page_same(p, page)) {
            p->ram_since = p->outcome->steps;
            return true;
        }
        ram_difference(p, page);
        return false;
    }
    return !(at_end || p->outcome->steps % STEPS_TO_RAM == 0) || ram_same(p);
}

// ---- Between two steps ----

static void tick(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        if (machine_next_deadline(p->side[i].machine) <= p->now)
            machine_tick(p->side[i].machine);
}

// Both are halted: time passes until something wakes them.
static enum verdict wake(struct pair *p)
{
    const struct side *s = &p->side[0];
    uint64_t deadline = machine_next_deadline(s->machine);
    if (!(s->state.rflags & FLAG_IF) || !machine_can_wake(s->machine))
        return ends(p, STATUS_OK, "the guest halted for good");
    if (deadline != UINT64_MAX && deadline > p->now)
        p->now = deadline;
    tick(p);
    return GO_ON;
}

static enum verdict handle_exit(struct pair *p)
{
    switch (p->side[0].exit) {
    case VCPU_EXIT_POWER:
        return ends(p, STATUS_OK, "the guest ended");
    case VCPU_EXIT_SHUTDOWN:
        return ends(p, STATUS_OK, "the guest shut the CPU down (triple fault)");
    case VCPU_EXIT_HALT:
        return wake(p);
    default:
        tick(p);
        return GO_ON;
    }
}

static enum verdict wishes(struct pair *p)
{
    if (watch_interrupted(p->watch))
        return ends(p, STATUS_INTERRUPTED, "interrupted");
    if (watch_timed_out(p->watch))
        return ends(p, STATUS_TIMEOUT, "no difference until the time was up (--timeout)");
    if (p->request->budget && p->outcome->steps >= p->request->budget)
        return ends(p, STATUS_TIMEOUT, "no difference in as many steps (--budget)");
    return GO_ON;
}

static enum verdict step(struct pair *p)
{
    uint64_t rcx = p->side[0].state.gpr[RCX];
    const struct compare_place *place = note_place(p);
    for (int i = 0; i < 2; i++)
        if (!run_side(p, &p->side[i]))
            return END;
    if (wishes(p) == END)
        return END; // maybe kicked out of one of them, wherever it was
    p->outcome->steps++;
    p->outcome->exits += p->side[0].exit != VCPU_EXIT_BUDGET;
    p->now += NS_PER_STEP;
    if (!make_mistake(p) || !same_time(p, place, rcx) || !same_chance(p, place) || !same_flags(p, place))
        return END;
    compare_sides(p);
    if (p->outcome->differences.count)
        return different(p);
    enum verdict verdict = handle_exit(p);
    if (!ram_well(p, verdict == END))
        return different(p);
    return verdict;
}

// ---- Before and after ----

static bool begin_side(struct pair *p, int number)
{
    struct side *s = &p->side[number];
    const struct compare_request *r = p->request;
    const struct variant *variant = &r->engine[number];
    const struct machine_config config = {.ram_bytes = r->ram_bytes,
                                          .cmdline = r->cmdline,
                                          .initrd = r->files.initrd,
                                          .initrd_size = r->files.initrd_size,
                                          .settings = variant_settings(variant->name),
                                          .clock = &p->clock,
                                          .serial_out = on_serial,
                                          .mark = on_mark,
                                          .ctx = s};
    char err[256];
    s->output = HASH_START;
    s->machine = machine_create(&config, variant->engine, err, sizeof err);
    if (!s->machine)
        return ends(p, STATUS_UNAVAILABLE, "%s: %s", variant->name, err) == GO_ON;
    s->vcpu = machine_vcpu(s->machine);
    if (machine_load(s->machine, r->files.image, r->files.image_size, err, sizeof err))
        return ends(p, STATUS_BAD_IMAGE, "%s", err) == GO_ON;
    if (s->vcpu->engine->get_state(s->vcpu, &s->state))
        return ends(p, STATUS_ENGINE_ERROR, "%s: %s", variant->name, s->vcpu->error) == GO_ON;
    return true;
}

static bool begin(struct pair *p)
{
    p->clock = (struct machine_clock){.now = steps_clock, .ctx = p};
    if (x86_decoder_open(&p->decoder))
        return ends(p, STATUS_UNAVAILABLE, "cannot open Capstone for x86-64") == GO_ON;
    if (!begin_side(p, 0) || !begin_side(p, 1))
        return false;
    const struct compare_request *r = p->request;
    p->watch = watch_start(p->side[0].vcpu, -1, r->timeout_ns, p->outcome->reason, sizeof p->outcome->reason);
    p->outcome->status = p->watch ? STATUS_OK : STATUS_UNAVAILABLE;
    return p->watch;
}

// From the image's first instruction to whatever ends it.
static void pass(const struct compare_request *request, struct compare_outcome *outcome, const uint64_t *watch_at)
{
    memset(outcome, 0, sizeof *outcome);
    struct pair *p = aligned_alloc(64, (sizeof *p + 63) & ~(size_t)63);
    if (!p) {
        outcome->status = STATUS_UNAVAILABLE;
        snprintf(outcome->reason, sizeof outcome->reason, "no memory");
        return;
    }
    memset(p, 0, sizeof *p);
    p->request = request;
    p->outcome = outcome;
    p->watched = watch_at != NULL;
    p->watch_at = watch_at ? *watch_at : 0;
    if (begin(p)) {
        while (step(p) == GO_ON)
            continue;
        if (outcome->status == STATUS_DIFFERENT && !outcome->ram_differs)
            ram_same(p); // the reason may lie there
        straighten_path(p);
        outcome->state[0] = p->side[0].state;
        outcome->state[1] = p->side[1].state;
    }
    watch_stop(p->watch);
    machine_destroy(p->side[0].machine);
    machine_destroy(p->side[1].machine);
    if (p->decoder.scratch)
        x86_decoder_close(&p->decoder);
    free(p);
}

void compare_run(const struct compare_request *request, struct compare_outcome *outcome)
{
    pass(request, outcome, NULL);
    if (!outcome->ram_differs)
        return;
    struct compare_outcome *again = aligned_alloc(64, sizeof *again);
    if (!again)
        return;
    pass(request, again, &outcome->ram_address);
    if (again->status == STATUS_DIFFERENT && again->steps <= outcome->steps) {
        again->ram_compared = outcome->ram_compared;
        *outcome = *again;
    }
    free(again);
}
