// SPDX-License-Identifier: BSD-2-Clause
// The KVM engine against small pieces of long-mode code: state, port and memory-mapped I/O, halt, kicks, interrupts,
// errors, counters. No /dev/kvm is a skip with the reason.
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "tests/unit/vtx_fixture.h"

#define FIXTURE(code) fixture_new(NULL, 8 << 20, code, code##_end)

// ---- The guest code, one label per test ----

GUEST(code_in, "mov $0x1122334455667788, %rax\n in $0x90, %al\n mov %rax, %rbx\n"
               "mov $0x1122334455667788, %rax\n in $0x90, %ax\n mov %rax, %rcx\n"
               "mov $0x1122334455667788, %rax\n in $0x90, %eax\n mov %rax, %rsi\n"
               "mov $0x2e0, %edx\n mov $0x101, %eax\n out %eax, %dx\n nop\n 1: jmp 1b");
GUEST(code_out, "mov $0x55, %al\n out %al, $0x80\n mov $0xbeef, %ax\n out %ax, $0x80\n"
                "mov $0xdeadbeef, %eax\n out %eax, $0x80\n out %eax, $0xf4\n 1: jmp 1b");
GUEST(code_string, "mov $0x90, %edx\n mov $0x180000, %edi\n mov $5, %ecx\n cld\n rep insb\n"
                   "mov $0x80, %edx\n mov $0x180000, %esi\n mov $5, %ecx\n rep outsb\n out %al, $0xf4");
GUEST(code_mmio, "mov $0xd0000000, %ebx\n mov (%rbx), %rax\n mov 8(%rbx), %cl\n movl $0x12345678, 16(%rbx)\n"
                 "mov %rax, 24(%rbx)\n mov %cl, 32(%rbx)\n out %al, $0xf4");
GUEST(code_halt, "cli\n hlt\n 1: jmp 1b");
// With interrupts on, though none come: Bochs lets nothing end a guest that has them off. tests/cli/cli.py does that.
GUEST(code_loop, "sti\n 1: jmp 1b");
GUEST(code_sse, "addps %xmm1, %xmm2\n out %al, $0xf4");
GUEST(code_ud, "ud2");
GUEST(code_msr, "mov $0x12345678, %ecx\n rdmsr");
GUEST(code_rdtsc, "rdtsc\n shl $32, %rdx\n or %rdx, %rax\n mov %rax, %rbx\n out %al, $0xf4");
// 8259s: vectors 0x20 up, all lines masked but those whose bit is clear in `mask`
#define INIT_8259(mask)                                                                                                \
    "mov $0x11, %al\n out %al, $0x20\n out %al, $0xa0\n mov $0x20, %al\n out %al, $0x21\n mov $0x28, %al\n"            \
    "out %al, $0xa1\n mov $4, %al\n out %al, $0x21\n mov $2, %al\n out %al, $0xa1\n mov $1, %al\n out %al, $0x21\n"    \
    "out %al, $0xa1\n mov $" mask ", %al\n out %al, $0x21\n mov $0xff, %al\n out %al, $0xa1\n"
GUEST(code_irq, INIT_8259("0xef") "sti\n mov $1, %al\n out %al, $0x91\n hlt\n 1: jmp 1b");
// 8254, channel 0, mode 0, 1193 ticks: one interrupt after a millisecond
GUEST(code_timer, INIT_8259("0xfe") "mov $0x30, %al\n out %al, $0x43\n mov $0xa9, %al\n out %al, $0x40\n"
                                    "mov $0x04, %al\n out %al, $0x40\n sti\n 1: hlt\n jmp 1b");
// Channel 2, gate on, mode 0, 65,536 ticks: bit 5 of port 0x61 rises after 55 ms, which an emulated CPU needs
GUEST(code_speaker, "mov $1, %al\n out %al, $0x61\n mov $0xb0, %al\n out %al, $0x43\n mov $0, %al\n"
                    "out %al, $0x42\n out %al, $0x42\n in $0x61, %al\n mov %al, %bl\n"
                    "1: in $0x61, %al\n test $0x20, %al\n jz 1b\n out %al, $0xf4");
GUEST(code_high, "mov $0x100000000, %rbx\n movl $0x600dda7a, (%rbx)\n mov (%rbx), %eax\n out %al, $0xf4");
GUEST(code_cr8, "mov %cr8, %rax\n mov $5, %eax\n mov %rax, %cr8\n out %al, $0xf4");
// At CPL 3, which a software back end, too, runs by tables of its own
GUEST(code_load, "mov 0x400000, %rbx\n out %al, $0x80\n out %al, $0xf4\n mov 0x400000, %rcx\n out %al, $0xf4");

// ---- Tests ----

static void test_probe(void)
{
    struct engine_info info;
    vtx_probe_at("/nonexistent", "/sys/module", &info);
    CHECK(!info.available && strstr(info.reason, "no /nonexistent"));
    vtx_probe_at("/dev/null", "/sys/module", &info);
    CHECK(!info.available && strstr(info.reason, "/dev/null is not KVM"));

    char dir[] = "/tmp/vtx-test-XXXXXX", sub[64];
    CHECK(mkdtemp(dir) != NULL);
    vtx_probe_at("/dev/null", dir, &info);
    CHECK(!info.hardware && strcmp(info.backend, "unknown") == 0);
    snprintf(sub, sizeof sub, "%s/kvm_other", dir);
    CHECK(mkdir(sub, 0700) == 0);
    vtx_probe_at("/dev/null", dir, &info);
    CHECK(!info.hardware && strcmp(info.backend, "kvm_other") == 0 && strcmp(info.paging, "software shadow") == 0);
    rmdir(sub);
    rmdir(dir);
}

// Every field gets a value of its own, goes in, and must come out again.
static void test_state(void)
{
    struct fixture *f = FIXTURE(code_loop);
    struct vcpu_state in, out;
    entry_state(&in);
    for (unsigned i = 0; i < GPR_COUNT; i++)
        in.gpr[i] = 0x1111111111111111ull * (i + 1);
    in.rip = 0xffffffff81234567;
    in.rflags = FLAG_FIXED1 | FLAG_CF | FLAG_ZF | FLAG_DF | FLAG_ID;
    in.seg[SEG_FS].base = 0x7f0000001000;
    in.seg[SEG_GS].base = 0xffff888000002000;
    in.ldtr = (struct segment){.base = 0x9000, .limit = 0xff, .selector = 0x28, .attr = SEG_P | SEG_TYPE_LDT};
    in.cr2 = 0xdead0000beef;
    in.cr8 = 5;
    in.dr[0] = 0x1000, in.dr[1] = 0x2000, in.dr[2] = 0x3000, in.dr[3] = 0x4000;
    in.star = 0x0023001000000000;
    in.lstar = 0xffffffff81000100, in.cstar = 0xffffffff81000200, in.sfmask = 0x47700;
    in.kernel_gs_base = 0xffff888000003000;
    in.sysenter_cs = 0x10, in.sysenter_esp = 0xffff888000004000, in.sysenter_eip = 0xffffffff81000300;
    in.pat = 0x0007010600070106;
    in.tsc_aux = 7;
    in.sti_shadow = true;
    in.nmi_masked = true;
    in.event_pending = true, in.event_type = EVENT_EXCEPTION, in.event_vector = VEC_GP;
    in.event_has_error = true, in.event_error = 0x18;
    for (unsigned i = 0; i < 256; i++)
        in.xsave[160 + i] = (uint8_t)(i * 7 + 1); // xmm0-15
    CHECK(engine_vtx.set_state(&f->v, &in) == 0);
    out = state_of(f);
    CHECK(memcmp(in.gpr, out.gpr, sizeof in.gpr) == 0 && in.rip == out.rip && in.rflags == out.rflags);
    for (unsigned i = 0; i < SEG_COUNT; i++)
        CHECK(in.seg[i].base == out.seg[i].base && in.seg[i].limit == out.seg[i].limit &&
              in.seg[i].selector == out.seg[i].selector && in.seg[i].attr == out.seg[i].attr &&
              in.seg[i].unusable == out.seg[i].unusable);
    CHECK(in.tr.base == out.tr.base && in.tr.attr == out.tr.attr && in.tr.selector == out.tr.selector);
    CHECK(in.ldtr.base == out.ldtr.base && in.ldtr.attr == out.ldtr.attr && in.ldtr.selector == out.ldtr.selector);
    CHECK(in.gdtr.base == out.gdtr.base && in.gdtr.limit == out.gdtr.limit);
    CHECK(in.idtr.base == out.idtr.base && in.idtr.limit == out.idtr.limit);
    CHECK(in.cr0 == out.cr0 && in.cr2 == out.cr2 && in.cr3 == out.cr3 && in.cr4 == out.cr4 && in.cr8 == out.cr8);
    CHECK(in.efer == out.efer && in.apic_base == out.apic_base);
    CHECK(memcmp(in.dr, out.dr, sizeof in.dr) == 0 && in.dr6 == out.dr6 && in.dr7 == out.dr7);
    CHECK(in.star == out.star && in.lstar == out.lstar && in.cstar == out.cstar && in.sfmask == out.sfmask);
    CHECK(in.kernel_gs_base == out.kernel_gs_base && in.tsc_aux == out.tsc_aux && in.pat == out.pat);
    CHECK(in.sysenter_cs == out.sysenter_cs && in.sysenter_esp == out.sysenter_esp &&
          in.sysenter_eip == out.sysenter_eip);
    CHECK(in.xcr0 == out.xcr0 && in.tsc_offset == out.tsc_offset);
    CHECK(out.sti_shadow); // SVM has one bit for both shadows, so that mov_ss_shadow may come back too
    CHECK(in.nmi_masked == out.nmi_masked && in.halted == out.halted);
    CHECK(out.event_pending && out.event_type == EVENT_EXCEPTION && out.event_vector == VEC_GP);
    CHECK(out.event_has_error && out.event_error == 0x18);
    CHECK(memcmp(in.xsave + 160, out.xsave + 160, 256) == 0);
    in.cr0 &= ~(uint64_t)CR0_PE; // paging without protection: no such CPU
    CHECK(engine_vtx.set_state(&f->v, &in) == -1 && strstr(f->v.error, "KVM_SET_SREGS"));
    fixture_free(f);
}

static void test_in(void)
{
    struct fixture *f = FIXTURE(code_in);
    f->next_read = 0xf0f1f2f3;
    CHECK(run(f) == VCPU_EXIT_MARK);
    CHECK(f->count == 4);
    CHECK(saw(&f->log[0], PORT_VALUE, 1, false, 0xf0f1f2f3) && saw(&f->log[1], PORT_VALUE, 2, false, 0xf0f1f2f4) &&
          saw(&f->log[2], PORT_VALUE, 4, false, 0xf0f1f2f5) && saw(&f->log[3], PORT_MARK, 4, true, 0x101));
    struct vcpu_state s = state_of(f);
    CHECK(s.gpr[RBX] == 0x11223344556677f3 && s.gpr[RCX] == 0x112233445566f2f4 && s.gpr[RSI] == 0xf0f1f2f5);
    CHECK(s.rip == CODE_ADDR + (uint64_t)(code_in_end - code_in) - 3); // behind the out: nop and jmp are left
    CHECK(counted(f, EV_exit_pio) == 3 && counted(f, EV_exit_mark) == 1 && counted(f, EV_exits) == 4);
    fixture_free(f);
}

static void test_out(void)
{
    struct fixture *f = FIXTURE(code_out);
    CHECK(run(f) == VCPU_EXIT_POWER);
    CHECK(f->count == 4);
    CHECK(saw(&f->log[0], 0x80, 1, true, 0x55) && saw(&f->log[1], 0x80, 2, true, 0xbeef) &&
          saw(&f->log[2], 0x80, 4, true, 0xdeadbeef) && saw(&f->log[3], PORT_DEBUG_EXIT, 4, true, 0xdeadbeef));
    CHECK(counted(f, EV_exit_pio) == 3 && counted(f, EV_exit_shutdown) == 1);
    fixture_free(f);
}

static void test_string(void)
{
    struct fixture *f = FIXTURE(code_string);
    f->next_read = 0x41;
    CHECK(run(f) == VCPU_EXIT_POWER);
    CHECK(f->count == 11);
    CHECK(memcmp(ram_at(&f->ram, gpa(DATA_ADDR), 6), "ABCDE\0", 6) == 0);
    for (unsigned i = 0; i < 5; i++)
        CHECK(saw(&f->log[i], PORT_VALUE, 1, false, 0x41 + i) && saw(&f->log[5 + i], 0x80, 1, true, 0x41 + i));
    struct vcpu_state s = state_of(f);
    CHECK(s.gpr[RCX] == 0 && s.gpr[RDI] == DATA_ADDR + 5 && s.gpr[RSI] == DATA_ADDR + 5);
    fixture_free(f);
}

static void test_mmio(void)
{
    struct fixture *f = FIXTURE(code_mmio);
    f->next_read = 0x8877665544332211;
    CHECK(run(f) == VCPU_EXIT_POWER);
    CHECK(f->count == 6);
    CHECK(saw(&f->log[0], MMIO_ADDR, 8, false, 0x8877665544332211) && f->log[0].mmio);
    CHECK(saw(&f->log[1], MMIO_ADDR + 8, 1, false, 0x8877665544332212));
    CHECK(saw(&f->log[2], MMIO_ADDR + 16, 4, true, 0x12345678));
    CHECK(saw(&f->log[3], MMIO_ADDR + 24, 8, true, 0x8877665544332211));
    CHECK(saw(&f->log[4], MMIO_ADDR + 32, 1, true, 0x12));
    CHECK(counted(f, EV_exit_mmio) == 5);
    fixture_free(f);
}

// ---- Kicks ----

struct kicker {
    struct fixture *f;
    useconds_t delay;
};

static void *kick_later(void *arg)
{
    const struct kicker *k = arg;
    usleep(k->delay);
    engine_vtx.kick(&k->f->v);
    return NULL;
}

static enum vcpu_exit run_and_kick(struct fixture *f, useconds_t delay)
{
    struct kicker k = {f, delay};
    pthread_t t;
    CHECK(pthread_create(&t, NULL, kick_later, &k) == 0);
    enum vcpu_exit e = run(f);
    pthread_join(t, NULL);
    return e;
}

static void test_kick_from_thread(void)
{
    struct fixture *f = FIXTURE(code_loop);
    engine_vtx.kick(&f->v);
    CHECK(run(f) == VCPU_EXIT_KICK); // a kick before the run counts for it
    bool all = true;
    for (unsigned i = 0; i < 100; i++) // from before the run's first entry to well within it
        all = all && run_and_kick(f, i * 17 % 400) == VCPU_EXIT_KICK;
    CHECK(all);
    CHECK(counted(f, EV_exit_host) >= 101 && counted(f, EV_exit_pio) == 0);
    CHECK(state_of(f).rip == CODE_ADDR + 1);
    fixture_free(f);
}

static void on_timer(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    engine_vtx.kick(info->si_value.sival_ptr);
}

static void test_kick_from_signal(void)
{
    struct fixture *f = FIXTURE(code_loop);
    struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_ptr = &f->v};
    struct itimerspec times = {.it_value.tv_nsec = 20000000, .it_interval.tv_nsec = 20000000};
    timer_t timer;
    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &times, NULL) == 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK(run(f) == VCPU_EXIT_KICK);
    timer_delete(timer);
    fixture_free(f);
}

// hlt waits in the kernel; a kick finds a guest that nothing can wake. On a busy host it may find one that has not come
// as far as that.
static void test_halt(void)
{
    struct fixture *f = FIXTURE(code_halt);
    uint64_t kicked = 0;
    enum vcpu_exit e = run_and_kick(f, 30000);
    for (unsigned i = 0; i < 100 && e == VCPU_EXIT_KICK; i++) {
        kicked = counted(f, EV_exit_host);
        e = run_and_kick(f, 30000);
    }
    CHECK(e == VCPU_EXIT_HALT);
    struct vcpu_state s = state_of(f);
    CHECK(s.halted && s.rip == CODE_ADDR + 2 && !(s.rflags & FLAG_IF));
    CHECK(counted(f, EV_exit_halt) == 1 && counted(f, EV_exit_host) == kicked);
    fixture_free(f);
}

// ---- Interrupts and faults: each ends in the vector's stub, which writes the vector to the debug-exit port ----

static void test_irq(void)
{
    struct fixture *f = FIXTURE(code_irq);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, 0x24));
    CHECK(!state_of(f).halted);
    fixture_free(f);
}

// The kernel's timers: an interrupt wakes hlt without the machine's doing, and port 0x61 is answered.
static void test_timer(void)
{
    struct fixture *f = FIXTURE(code_timer);
    uint64_t before = now_ns();
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, 0x20));
    CHECK(now_ns() - before > 900 * 1000);
    CHECK(counted(f, EV_exit_halt) == 0 && f->count == 1);
    fixture_free(f);

    bool low = false; // at first, unless the host lets 55 ms go by in between
    for (unsigned i = 0; i < 20 && !low; i++) {
        f = FIXTURE(code_speaker);
        CHECK(run(f) == VCPU_EXIT_POWER && f->count == 1);
        low = (state_of(f).gpr[RBX] & 0x20) == 0;
        fixture_free(f);
    }
    CHECK(low);
}

static void test_nmi(void)
{
    struct fixture *f = FIXTURE(code_loop);
    engine_vtx.inject_nmi(&f->v);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VEC_NMI));
    end_nmi(f);
    fixture_free(f);
}

static void test_faults(void)
{
    struct fixture *f = FIXTURE(code_ud);
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VEC_UD));
    fixture_free(f);
    f = FIXTURE(code_msr); // an MSR that no CPU has
    CHECK(run(f) == VCPU_EXIT_POWER && ended_in_vector(f, VEC_GP));
    fixture_free(f);
}

static void test_triple_fault(void)
{
    struct fixture *f = FIXTURE(code_ud);
    struct vcpu_state s = state_of(f);
    s.idtr.limit = 0;
    CHECK(engine_vtx.set_state(&f->v, &s) == 0);
    CHECK(run(f) == VCPU_EXIT_SHUTDOWN);
    CHECK(counted(f, EV_exit_shutdown) == 1);
    fixture_free(f);
}

// A software back end may not know SSE at CPL 0; then the error line must show the instruction.
static void test_cannot_emulate(void)
{
    struct fixture *f = FIXTURE(code_sse);
    enum vcpu_exit e = engine_vtx.run(&f->v, 0);
    if (e == VCPU_EXIT_POWER) {
        SKIP("this back end of /dev/kvm runs addps at CPL 0, so there is no emulation error to see");
    } else {
        CHECK(e == VCPU_EXIT_ERROR);
        CHECK(strstr(f->v.error, "cannot emulate") && strstr(f->v.error, "0f 58 d1") && strstr(f->v.error, "addps"));
        CHECK(f->v.unsupported);
        CHECK(strstr(f->v.error, "0x100000") && !strchr(f->v.error, '\n'));
    }
    fixture_free(f);
}

// ---- Time, memory above the hole, statistics ----

static void test_tsc(void)
{
    struct fixture *f = FIXTURE(code_rdtsc);
    uint64_t before = __rdtsc();
    CHECK(run(f) == VCPU_EXIT_POWER);
    uint64_t after = __rdtsc(), guest = state_of(f).gpr[RBX];
    CHECK(before < guest && guest < after);
    fixture_free(f);

    f = FIXTURE(code_rdtsc);
    struct vcpu_state s = state_of(f);
    s.tsc_offset = 1ull << 50;
    if (engine_vtx.set_state(&f->v, &s)) {
        CHECK(strstr(f->v.error, "TSC's offset")); // not silently without it
    } else {
        CHECK(run(f) == VCPU_EXIT_POWER);
        CHECK(state_of(f).gpr[RBX] - __rdtsc() > 1ull << 49);
    }
    fixture_free(f);
}

static void test_high_memory(void)
{
    struct fixture *f = fixture_new(NULL, RAM_HOLE_START + (2 << 20), code_high, code_high_end);
    CHECK(run(f) == VCPU_EXIT_POWER);
    uint32_t value;
    memcpy(&value, ram_at(&f->ram, gpa(RAM_HOLE_END), 4), 4);
    CHECK(value == 0x600dda7a && state_of(f).gpr[RAX] == 0x600dda7a);
    fixture_free(f);
}

struct seen {
    uint64_t exits, missing, missing_ecx;
    size_t count;
};

static void on_stat(void *ctx, const char *name, uint64_t value)
{
    struct seen *s = ctx;
    s->count++;
    if (strcmp(name, "kvm.exits") == 0)
        s->exits = value;
    if (strcmp(name, "kvm.cpuid_bits_missing") == 0)
        s->missing = value;
    if (strcmp(name, "kvm.cpuid_missing.1.0.ecx") == 0)
        s->missing_ecx = value;
}

static void test_stats(void)
{
    struct fixture *f = FIXTURE(code_out);
    struct seen s = {0};
    CHECK(run(f) == VCPU_EXIT_POWER);
    engine_vtx.stats(&f->v, on_stat, &s);
    CHECK(s.missing >= 1 && (s.missing_ecx & LEAF1_ECX_RESERVED)); // a bit that the table claims and no CPU has
    if (vtx_of(&f->v)->cpu_stats < 0)
        SKIP("this kernel has no KVM_GET_STATS_FD (Linux 5.14)");
    else
        CHECK(s.exits >= 4 && s.count > 20 && s.exits == counted(f, EV_kvm_exits));
    fixture_free(f);
}

static void test_settings(void)
{
    char err[128] = "";
    struct vtx_options o;
    CHECK(vtx_options_parse(&o, NULL, err, sizeof err) == 0 && !o.exits);
    CHECK(vtx_options_parse(&o, "", err, sizeof err) == 0 && !o.exits);
    CHECK(vtx_options_parse(&o, "exits", err, sizeof err) == 0 && o.exits);
    CHECK(engine_vtx.check_settings("exit", err, sizeof err) == -1 && strstr(err, "no option 'exit'"));
    CHECK(engine_vtx.check_settings("exits=1", err, sizeof err) == -1 &&
          strstr(err, "bad value in vtx's option exits"));
    CHECK(engine_vtx.check_settings("irqchip", err, sizeof err) == -1);
    CHECK(engine_vtx.check_settings("irqchip=split", err, sizeof err) == -1 && strstr(err, "irqchip=split"));
    CHECK(vtx_options_parse(&o, "irqchip=user:exits", err, sizeof err) == 0 && o.exits && o.user_irqchip);
    CHECK(vtx_options_parse(&o, "irqchip=user:irqchip=kernel", err, sizeof err) == 0 && !o.user_irqchip);
    CHECK(!engine_has_irqchip(&engine_vtx, "irqchip=user") && engine_has_irqchip(&engine_vtx, NULL));
    CHECK(engine_vtx.check_settings("exits:more", err, sizeof err) == -1 && strstr(err, "no option 'more'"));
    event_mask plain = engine_vtx.counts_with(""), with = engine_vtx.counts_with("exits");
    CHECK(!(plain & EVENT_BIT(hw_io)) && (with & EVENT_BIT(hw_io)) && (with & EVENT_BIT(hw_other)));
    CHECK((with & plain) == plain && (plain & engine_vtx.counts) == engine_vtx.counts);
}

// Every exit has one reason, and this code's are known: three `in` and an `out`. Where the option cannot be had, the
// line says what for.
static void test_exits(void)
{
    struct engine_info info;
    vtx_probe(&info);
    struct fixture *f = FIXTURE(code_in);
    engine_vtx.destroy(&f->v);
    f->v.settings = "exits";
    if (engine_vtx.create(&f->v)) {
        CHECK(strstr(f->v.error, "option exits: ") == f->v.error);
        if (info.hardware)
            SKIP(f->v.error);
        fixture_free(f);
        return;
    }
    CHECK(info.hardware);
    struct vcpu_state s;
    entry_state(&s);
    CHECK(engine_vtx.set_state(&f->v, &s) == 0 && run(f) == VCPU_EXIT_MARK);
    uint64_t sum = 0, all = counted(f, EV_hw_exits);
    for (int e = EV_hw_exits + 1; e <= EV_hw_other; e++)
        sum += counted(f, (enum event)e);
    CHECK(counted(f, EV_hw_io) == 4);
    CHECK(all >= 4 && sum == all);
    CHECK(all == counted(f, EV_kvm_exits)); // the tracepoint and the statistic are two ways to the same count
    fixture_free(f);
}

// Somebody else rewrites the guest's page tables between two runs, as an engine does on which the guest has been.
static void test_tables_rewritten(void)
{
    struct fixture *f = FIXTURE(code_load);
    const uint64_t entry = TABLES_ADDR + 0x2000 + 8 * 2, at[] = {4 << 20, 6 << 20}; // 0x400000
    struct vcpu_state s = state_of(f);
    s.rflags |= FLAG_IOPL;
    s.seg[SEG_CS] = flat(0x2b, SEG_P | SEG_S | SEG_G | SEG_L | SEG_DPL | 0xb);
    s.seg[SEG_SS] = flat(0x33, SEG_P | SEG_S | SEG_G | SEG_DB | SEG_DPL | 3);
    put64(f, TABLES_ADDR + 0x2000, PTE_P | PTE_W | PTE_U | PTE_PS);
    for (unsigned i = 0; i < 2; i++)
        put64(f, at[i], 0x1111 * (i + 1));
    put64(f, entry, at[0] | PTE_P | PTE_W | PTE_U | PTE_PS);
    CHECK(engine_vtx.set_state(&f->v, &s) == 0 && run(f) == VCPU_EXIT_POWER);
    s = state_of(f);
    CHECK_EQ(s.gpr[RBX], 0x1111);
    put64(f, entry, at[1] | PTE_P | PTE_W | PTE_U | PTE_PS);
    CHECK(engine_vtx.set_state(&f->v, &s) == 0 && run(f) == VCPU_EXIT_POWER);
    CHECK_EQ(state_of(f).gpr[RCX], 0x2222);
    fixture_free(f);
}

static void test_cr8(void)
{
    struct fixture *f = FIXTURE(code_cr8);
    CHECK(run(f) == VCPU_EXIT_POWER);
    CHECK(state_of(f).cr8 == 5);
    fixture_free(f);
}

int main(void)
{
    test_probe();
    test_settings();
    struct engine_info info;
    vtx_probe(&info);
    if (!info.available) {
        SKIP(info.reason);
        return check_done("vtx");
    }
    test_state();
    test_in();
    test_out();
    test_string();
    test_mmio();
    test_kick_from_thread();
    test_kick_from_signal();
    test_halt();
    test_irq();
    test_timer();
    test_nmi();
    test_faults();
    test_triple_fault();
    test_cannot_emulate();
    test_tsc();
    test_high_memory();
    test_stats();
    test_exits();
    test_cr8();
    test_tables_rewritten();
    return check_done("vtx");
}
