// SPDX-License-Identifier: BSD-2-Clause
// What a process for directly executed code may ask of the host: each system call of the stub, from its own place in
// the stub, with its own arguments. Those that change memory carry the process's secret in bits that the kernel does
// not look at: the upper halves of the fourth and fifth argument. Everything else is a SIGSYS, which is the guest's.
#include <linux/audit.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "engines/bt/process_inside.h"

#define NUMBER offsetof(struct seccomp_data, nr)
#define LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#define HIGH(n) (LOW(n) + 4)
#define HERE offsetof(struct seccomp_data, instruction_pointer)

struct filter {
    struct sock_filter *out;
    unsigned used;
};

static void emit(struct filter *f, unsigned code, uint32_t k)
{
    f->out[f->used++] = (struct sock_filter)BPF_STMT(code, k);
}

static void load(struct filter *f, unsigned offset)
{
    emit(f, BPF_LD | BPF_W | BPF_ABS, offset);
}

static void end(struct filter *f, uint32_t answer)
{
    emit(f, BPF_RET | BPF_K, answer);
}

// What has been loaded is one of two values, or that is all.
static void either(struct filter *f, uint32_t a, uint32_t b)
{
    f->out[f->used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, a, 2, 0);
    f->out[f->used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, b, 1, 0);
    end(f, SECCOMP_RET_TRAP);
}

static void is(struct filter *f, unsigned offset, uint32_t value)
{
    load(f, offset);
    f->out[f->used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    end(f, SECCOMP_RET_TRAP);
}

static void is_address(struct filter *f, unsigned argument, uint64_t value)
{
    is(f, LOW(argument), (uint32_t)value);
    is(f, HIGH(argument), (uint32_t)(value >> 32));
}

// The conditions up to rule_end() are for the system call that ends at this label. The low half of the instruction
// pointer has been loaded.
static unsigned rule_begin(struct filter *f, const uint8_t *label)
{
    f->out[f->used] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)process_stub_at(label), 0, 0);
    return f->used++;
}

static void rule_end(struct filter *f, unsigned head)
{
    end(f, SECCOMP_RET_ALLOW);
    f->out[head].jf = (uint8_t)(f->used - head - 1);
}

static void rule_arm(struct filter *f, const uint8_t *label)
{
    const uint64_t a = process_stub_at(process_stub_stack_a), b = process_stub_at(process_stub_stack_b);
    unsigned head = rule_begin(f, label);
    is(f, NUMBER, SYS_sigaltstack);
    load(f, LOW(0));
    either(f, (uint32_t)a, (uint32_t)b);
    is(f, HIGH(0), (uint32_t)(a >> 32));
    is_address(f, 1, 0);
    rule_end(f, head);
}

static void rule_unblock(struct filter *f, const uint8_t *label)
{
    unsigned head = rule_begin(f, label);
    is(f, NUMBER, SYS_rt_sigprocmask);
    is(f, LOW(0), SIG_SETMASK);
    is_address(f, 1, process_stub_at(process_stub_no_signals));
    is_address(f, 2, 0);
    rule_end(f, head);
}

static void rule_say(struct filter *f, const uint8_t *label)
{
    unsigned head = rule_begin(f, label);
    is(f, NUMBER, SYS_write);
    is(f, LOW(0), FD_SAID);
    is_address(f, 1, WINDOW + IN_STATE + S_ECHO);
    is_address(f, 2, 8);
    rule_end(f, head);
}

static void rule_wait(struct filter *f, const uint8_t *label)
{
    unsigned head = rule_begin(f, label);
    is(f, NUMBER, SYS_futex);
    is_address(f, 0, WINDOW + IN_TOLD + T_GO);
    is(f, LOW(1), FUTEX_WAIT);
    rule_end(f, head);
}

// Both halves of the secret are compared at once, so that the time it takes says nothing about either.
static void has_secret(struct filter *f, const uint32_t secret[2])
{
    load(f, HIGH(3));
    emit(f, BPF_ALU | BPF_XOR | BPF_K, secret[0]);
    emit(f, BPF_MISC | BPF_TAX, 0);
    load(f, HIGH(4));
    emit(f, BPF_ALU | BPF_XOR | BPF_K, secret[1]);
    emit(f, BPF_ALU | BPF_OR | BPF_X, 0);
    f->out[f->used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    end(f, SECCOMP_RET_TRAP);
}

static void rule_call(struct filter *f, const uint8_t *label, const uint32_t secret[2])
{
    unsigned head = rule_begin(f, label);
    has_secret(f, secret);
    load(f, NUMBER);
    f->out[f->used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 4, 0);
    f->out[f->used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 2, 0);
    f->out[f->used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_munmap, 1, 0);
    end(f, SECCOMP_RET_TRAP);
    end(f, SECCOMP_RET_ALLOW);
    load(f, LOW(3)); // mmap
    either(f, MAP_SHARED | MAP_FIXED, MAP_SHARED | MAP_FIXED | MAP_POPULATE);
    is(f, LOW(4), FD_RAM);
    rule_end(f, head);
}

unsigned process_filter(struct sock_filter *out, const uint32_t secret[2])
{
    struct filter f = {.out = out};
    is(&f, offsetof(struct seccomp_data, arch), AUDIT_ARCH_X86_64);
    is(&f, HERE + 4, (uint32_t)((uint64_t)WINDOW >> 32));
    load(&f, HERE);
    rule_say(&f, process_stub_did_say);
    rule_arm(&f, process_stub_did_arm);
    rule_call(&f, process_stub_did_call, secret);
    rule_wait(&f, process_stub_did_wait);
    rule_unblock(&f, process_stub_did_unblock);
    rule_arm(&f, process_stub_did_late_arm);
    rule_unblock(&f, process_stub_did_late_unblock);
    end(&f, SECCOMP_RET_TRAP);
    return f.used;
}
