// SPDX-License-Identifier: BSD-2-Clause
// Engine vtx with irqchip=user: the CPU's pins as the machine's interrupt controllers drive and read them, which is
// INTR with the interrupt window, cr8, IA32_APIC_BASE, the local APIC's page, and hlt. No /dev/kvm is a skip with the
// reason.
#include "tests/unit/vtx_fixture.h"

#define FIXTURE(code) fixture_new("irqchip=user", 8 << 20, code, code##_end)
#define VECTOR 0x24

// ---- The guest code, one label per test ----

#define RAISE "mov $1, %al\n out %al, $0x91\n"
// Interrupts are off when it comes, and let in by the instruction behind sti at the earliest.
GUEST(code_window, RAISE "mov $7, %ebx\n sti\n inc %ebx\n code_window_at: 1: jmp 1b");
extern const uint8_t code_window_at[];
GUEST(code_popf, RAISE "mov $7, %ebx\n pushfq\n orl $0x200, (%rsp)\n popfq\n code_popf_at: 1: jmp 1b");
extern const uint8_t code_popf_at[];
// INTR rises while the instruction is being executed: it ends first.
GUEST(code_read, "mov $0x1122334455667788, %rax\n sti\n nop\n in $0x90, %al\n code_read_at: 1: jmp 1b");
extern const uint8_t code_read_at[];
GUEST(code_taken_back, RAISE "sti\n nop\n mov $9, %ebx\n out %al, $0xf4");
GUEST(code_hlt, "sti\n hlt\n code_hlt_at: inc %ebx\n out %al, $0xf4");
extern const uint8_t code_hlt_at[];
GUEST(code_hlt_raised, RAISE "sti\n hlt\n code_hlt_raised_at: inc %ebx\n out %al, $0xf4");
extern const uint8_t code_hlt_raised_at[];
GUEST(code_hlt_deaf, "cli\n hlt\n inc %ebx\n out %al, $0xf4");
GUEST(code_loop, "sti\n nop\n 1: jmp 1b");
// The bus makes cr8 3 at the read. Then the guest raises it to 9 and lowers it to 2.
GUEST(code_cr8, "mov $5, %eax\n mov %rax, %cr8\n in $0x90, %al\n mov %cr8, %rbx\n"
                "mov $9, %eax\n mov %rax, %cr8\n out %al, $0x80\n mov $2, %eax\n mov %rax, %cr8\n"
                "out %al, $0x80\n out %al, $0xf4");
GUEST(code_apic_base, "mov $0x1b, %ecx\n rdmsr\n mov %rax, %rbp\n and $~0x800, %eax\n wrmsr\n out %al, $0x80\n"
                      "rdmsr\n mov %rax, %rsi\n mov $1, %eax\n cpuid\n mov %edx, %edi\n out %al, $0xf4");
GUEST(code_apic_page, "mov $0xfee00000, %ebx\n mov 0x20(%rbx), %eax\n movl $0x1ff, 0xf0(%rbx)\n out %al, $0xf4");

// ---- Tests ----

static bool is_hardware(struct fixture *f)
{
    return vtx_of(&f->v)->hardware;
}

// Where the guest was when the interrupt came, by what the CPU pushed.
static uint64_t interrupted_at(struct fixture *f)
{
    uint64_t rip;
    memcpy(&rip, ram_at(&f->ram, gpa(state_of(f).gpr[RSP]), sizeof rip), sizeof rip);
    return rip;
}

static uint64_t address(const uint8_t *label, const uint8_t *code)
{
    return CODE_ADDR + (uint64_t)(label - code);
}

static void expect(struct fixture *f, unsigned vectors)
{
    f->vector = VECTOR;
    f->vectors_left = vectors;
}

// A software back end looks for interrupts between batches of instructions only: there it is not before `at`.
static bool came_at(struct fixture *f, uint64_t at)
{
    bool exact = interrupted_at(f) == at;
    return exact || (!is_hardware(f) && interrupted_at(f) > CODE_ADDR);
}

static void test_window(void)
{
    struct fixture *f = FIXTURE(code_window);
    expect(f, 1);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR));
    CHECK(came_at(f, address(code_window_at, code_window)));
    CHECK_EQ(state_of(f).gpr[RBX], 8); // the instruction behind sti has been executed, whatever the back end
    CHECK_EQ(f->acknowledged, 1);
    CHECK(counted(f, EV_exit_window) >= 1);
    fixture_free(f);

    f = FIXTURE(code_popf);
    expect(f, 1);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR));
    CHECK(came_at(f, address(code_popf_at, code_popf)));
    fixture_free(f);
}

// An unfinished instruction is finished before its exit's interrupt is delivered.
static void test_within_instruction(void)
{
    struct fixture *f = FIXTURE(code_read);
    expect(f, 1);
    f->next_read = 0x55;
    f->raise_on_read = true;
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR));
    CHECK(came_at(f, address(code_read_at, code_read)));
    CHECK_EQ(f->log[0].value, 0x55);
    fixture_free(f);
}

// INTR that nobody stands behind any more when the CPU asks.
static void test_taken_back(void)
{
    struct fixture *f = FIXTURE(code_taken_back);
    expect(f, 0);
    CHECK(run(f) == VCPU_EXIT_POWER && !ended_in_vector(f, VECTOR));
    CHECK_EQ(state_of(f).gpr[RBX], 9);
    CHECK(f->acknowledged <= 1); // none at all, where the end came first
    fixture_free(f);
}

// The handler runs with interrupts off, and the next one waits for it. What is known of the window is of the state
// before set_state(), and must not count.
static void test_one_by_one(void)
{
    struct fixture *f = FIXTURE(code_window);
    expect(f, 2);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR));
    CHECK_EQ(f->acknowledged, 1);
    struct vcpu_state s = state_of(f);
    CHECK(!(s.rflags & FLAG_IF) && !s.event_pending);
    s.rflags |= FLAG_IF;
    uint64_t at = s.rip;
    CHECK(engine_vtx.set_state(&f->v, &s) == 0);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR + 1));
    CHECK_EQ(interrupted_at(f), at);
    fixture_free(f);
}

// The same states say that an interrupt cannot be taken.
static void test_shadow(void)
{
    struct fixture *f = FIXTURE(code_hlt);
    struct vcpu_state s;
    entry_state(&s);
    s.rip = address(code_hlt_at, code_hlt); // inc, out
    s.rflags |= FLAG_IF;
    s.sti_shadow = true;
    CHECK(engine_vtx.set_state(&f->v, &s) == 0);
    expect(f, 1);
    engine_vtx.set_intr(&f->v, true);
    CHECK(run(f) == VCPU_EXIT_POWER);
    CHECK_EQ(state_of(f).gpr[RBX], 1);
    if (is_hardware(f))
        CHECK(ended_in_vector(f, VECTOR));
    fixture_free(f);
}

// An interrupt whose delivery had begun elsewhere goes on here. IF is still 1 then, on which VT-x insists (SDM vol. 3,
// 27.3.1.4).
static void test_event_from_elsewhere(void)
{
    struct fixture *f = FIXTURE(code_loop);
    struct vcpu_state s;
    entry_state(&s);
    s.rflags |= FLAG_IF;
    s.event_pending = true;
    s.event_type = EVENT_EXTERNAL;
    s.event_vector = VECTOR;
    CHECK(engine_vtx.set_state(&f->v, &s) == 0);
    s = state_of(f);
    CHECK(s.event_pending && s.event_type == EVENT_EXTERNAL && s.event_vector == VECTOR);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR));
    CHECK_EQ(interrupted_at(f), CODE_ADDR);
    CHECK_EQ(f->acknowledged, 0);
    fixture_free(f);
}

static void test_hlt(void)
{
    struct fixture *f = FIXTURE(code_hlt);
    expect(f, 1);
    CHECK(run(f) == VCPU_EXIT_HALT);
    CHECK(state_of(f).halted && state_of(f).rip == address(code_hlt_at, code_hlt));
    CHECK(run(f) == VCPU_EXIT_HALT); // still
    engine_vtx.kick(&f->v);
    CHECK(run(f) == VCPU_EXIT_KICK);
    CHECK(run(f) == VCPU_EXIT_HALT);
    CHECK_EQ(counted(f, EV_exit_halt), 1);
    engine_vtx.set_intr(&f->v, true);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR));
    CHECK_EQ(interrupted_at(f), address(code_hlt_at, code_hlt));
    CHECK(!state_of(f).halted);
    fixture_free(f);

    f = FIXTURE(code_hlt_raised);
    expect(f, 1);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR));
    CHECK_EQ(interrupted_at(f), address(code_hlt_raised_at, code_hlt_raised));
    CHECK(counted(f, EV_exit_halt) <= 1);
    fixture_free(f);
}

// Halted in one vCPU, woken in another.
static void test_hlt_moves(void)
{
    struct fixture *f = FIXTURE(code_hlt), *g = FIXTURE(code_hlt);
    CHECK(run(f) == VCPU_EXIT_HALT);
    struct vcpu_state s = state_of(f);
    CHECK(engine_vtx.set_state(&g->v, &s) == 0 && state_of(g).halted);
    CHECK(run(g) == VCPU_EXIT_HALT);
    expect(g, 1);
    engine_vtx.set_intr(&g->v, true);
    CHECK(run(g) == VCPU_EXIT_POWER && ended_in_vector(g, VECTOR));
    CHECK_EQ(interrupted_at(g), address(code_hlt_at, code_hlt));
    fixture_free(f);
    fixture_free(g);
}

// With interrupts off only an NMI wakes.
static void test_hlt_deaf(void)
{
    struct fixture *f = FIXTURE(code_hlt_deaf);
    expect(f, 1);
    CHECK(run(f) == VCPU_EXIT_HALT);
    engine_vtx.set_intr(&f->v, true);
    CHECK(run(f) == VCPU_EXIT_HALT);
    CHECK_EQ(f->acknowledged, 0);
    engine_vtx.set_intr(&f->v, false);
    engine_vtx.inject_nmi(&f->v);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VEC_NMI));
    CHECK_EQ(interrupted_at(f), CODE_ADDR + 2);
    end_nmi(f);
    fixture_free(f);
}

static enum vcpu_exit read_and_set_cr8(void *machine, uint16_t port, unsigned size, uint32_t *value)
{
    struct fixture *f = machine;
    CHECK_EQ(f->v.cr8, 5);
    f->v.cr8 = 3; // as a write to the local APIC's task priority does
    f->v.tpr_threshold = 3;
    return pio_read(machine, port, size, value);
}

static void test_cr8(void)
{
    struct fixture *f = FIXTURE(code_cr8);
    f->v.bus.pio_read = read_and_set_cr8;
    CHECK(run(f) == VCPU_EXIT_POWER);
    CHECK_EQ(state_of(f).gpr[RBX], 3);
    CHECK_EQ(f->v.cr8, 2);
    CHECK_EQ(f->tpr_lowered, 1); // 5 to 3 was the machine's own doing, and 3 to 9 no lowering
    CHECK_EQ(state_of(f).cr8, 2);
    if (is_hardware(f))
        CHECK(counted(f, EV_exit_other) >= 1);
    f->v.cr8 = 7;
    CHECK_EQ(state_of(f).cr8, 7);
    fixture_free(f);
}

static void test_apic_base(void)
{
    struct fixture *f = FIXTURE(code_apic_base);
    const uint64_t on = APIC_DEFAULT_ADDR | APIC_BASE_ENABLE | APIC_BASE_BSP;
    CHECK_EQ(f->apic_base_writes, 0);
    CHECK(run(f) == VCPU_EXIT_POWER);
    struct vcpu_state s = state_of(f);
    CHECK(s.gpr[RBP] == on && s.gpr[RSI] == (on & ~(uint64_t)APIC_BASE_ENABLE));
    CHECK_EQ(f->apic_base_writes, 1);
    CHECK(f->v.apic_base == s.gpr[RSI] && s.apic_base == s.gpr[RSI]);
    if (is_hardware(f))                 // a software back end's cpuid is the host's
        CHECK(!(s.gpr[RDI] & 1u << 9)); // SDM vol. 3, 11.4.3: no APIC in CPUID then
    fixture_free(f);
}

static void test_apic_page(void)
{
    struct fixture *f = FIXTURE(code_apic_page);
    f->next_read = 0x01000000;
    CHECK(run(f) == VCPU_EXIT_POWER);
    CHECK(f->count == 3 && f->log[0].mmio && saw(&f->log[0], APIC_DEFAULT_ADDR + 0x20, 4, false, 0x01000000) &&
          f->log[1].mmio && saw(&f->log[1], APIC_DEFAULT_ADDR + 0xf0, 4, true, 0x1ff));
    fixture_free(f);
}

// Interrupts wait for a debugger's step, but where only they can wake the guest.
static void test_step(void)
{
    struct fixture *f = FIXTURE(code_loop);
    expect(f, 1);
    engine_vtx.set_intr(&f->v, true);
    for (unsigned i = 0; i < 4; i++)
        CHECK(engine_vtx.step(&f->v) == VCPU_EXIT_BUDGET);
    CHECK_EQ(f->acknowledged, 0);
    CHECK(state_of(f).rip - CODE_ADDR <= 2); // not in a handler; that steps are exact is tests/unit/debug_hooks.c's
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VECTOR));
    fixture_free(f);

    f = FIXTURE(code_hlt);
    expect(f, 1);
    CHECK(run(f) == VCPU_EXIT_HALT);
    CHECK(engine_vtx.step(&f->v) == VCPU_EXIT_HALT);
    engine_vtx.set_intr(&f->v, true);
    enum vcpu_exit e = engine_vtx.step(&f->v);
    // Delivery clears TF, by which KVM steps (SDM vol. 3, 6.12.1.3): then the handler runs on.
    CHECK((e == VCPU_EXIT_BUDGET || e == VCPU_EXIT_POWER) && !state_of(f).halted);
    CHECK_EQ(f->acknowledged, 1);
    fixture_free(f);
}

int main(void)
{
    struct engine_info info;
    vtx_probe(&info);
    if (!info.available) {
        SKIP(info.reason);
        return check_done("vtx_irqchip");
    }
    test_window();
    test_within_instruction();
    test_taken_back();
    test_one_by_one();
    test_shadow();
    test_event_from_elsewhere();
    test_hlt();
    test_hlt_moves();
    test_hlt_deaf();
    test_cr8();
    test_apic_base();
    test_apic_page();
    test_step();
    return check_done("vtx_irqchip");
}
