// SPDX-License-Identifier: BSD-2-Clause
// Descriptor tables at run time, and what happens to an exception or interrupt that took the common path.
#include "guest/insn.h"
#include "guest/state.h"

#define EXCEPTION_VECTORS 32
#define IST_DOUBLE_FAULT 1
#define GATE_PRESENT 0x8000
#define GATE_DPL_SHIFT 13
#define GATE_TYPE_SHIFT 8
#define SFMASK_WANTED (FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_AC)

extern uint64_t gdt[]; // tables.S
struct descriptor_pointer {
    uint16_t limit;
    const void *base;
} __attribute__((packed));

void trap_dispatch(struct trap_frame *frame); // called by trap.S alone

void idt_set_raw(unsigned vector, void (*entry)(void), unsigned ist, unsigned dpl)
{
    uint64_t offset = (uint64_t)entry;
    unsigned attributes = GATE_PRESENT | dpl << GATE_DPL_SHIFT | SEG_TYPE_INTERRUPT_GATE << GATE_TYPE_SHIFT | ist;
    guest.idt[vector] = (struct gate){.offset_low = (uint16_t)offset,
                                      .selector = KERNEL_CS,
                                      .attributes = (uint16_t)attributes,
                                      .offset_middle = (uint16_t)(offset >> 16),
                                      .offset_high = (uint32_t)(offset >> 32)};
}

// The gate of the common stub. int3 and into are open to CPL 3, as in every kernel.
static void set_stub(unsigned vector)
{
    unsigned ist = vector == VEC_DF ? IST_DOUBLE_FAULT : 0;
    unsigned dpl = vector == VEC_BP || vector == VEC_OF ? 3 : 0;
    idt_set_raw(vector, (void (*)(void))(trap_stubs + (size_t)vector * TRAP_STUB_BYTES), ist, dpl);
}

void trap_set(unsigned vector, trap_fn *fn)
{
    guest.handlers[vector] = fn;
    set_stub(vector);
}

void tss_set_ist(unsigned ist, uint64_t stack_top)
{
    guest.tss.ist[ist - 1] = stack_top;
}

void tss_set_rsp0(uint64_t stack_top)
{
    guest.tss.rsp[0] = stack_top;
}

// The TSS descriptor, SDM vol. 3, figure 8-4.
static void tss_init(void)
{
    uint64_t base = (uint64_t)&guest.tss;
    uint64_t access = SEG_P | SEG_TYPE_TSS_AVAILABLE;
    gdt[TSS_SELECTOR / 8] = (sizeof guest.tss - 1) | (base & 0xffffff) << 16 | access << 40 | (base >> 24 & 0xff) << 56;
    gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
    guest.tss.io_map_base = sizeof guest.tss; // beyond the limit: no port is open to CPL 3
    tss_set_rsp0((uint64_t)trap_stack_top);
    tss_set_ist(IST_DOUBLE_FAULT, (uint64_t)double_fault_stack_top);
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
}

// Gates beyond the exceptions come with trap_set(): until then such a vector is a #GP that names it.
void descriptors_init(void)
{
    for (unsigned vector = 0; vector < EXCEPTION_VECTORS; vector++)
        set_stub(vector);
    struct descriptor_pointer pointer = {sizeof guest.idt - 1, guest.idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    tss_init();
    write_msr(MSR_STAR, (uint64_t)USER_CS32 << 48 | (uint64_t)KERNEL_CS << 32);
    write_msr(MSR_LSTAR, (uint64_t)syscall_unexpected);
    write_msr(MSR_SFMASK, SFMASK_WANTED);
}

static void resume_at(struct trap_frame *frame, const struct catch_point *point)
{
    frame->rip = (uint64_t)catch_resume;
    frame->cs = KERNEL_CS;
    frame->rflags = FLAG_FIXED1; // catch_resume restores the caller's
    frame->rsp = point->rsp;
    frame->ss = KERNEL_DS;
}

void trap_dispatch(struct trap_frame *frame)
{
    trap_fn *handler = guest.handlers[frame->vector];
    struct catch_point *point = guest.catching;
    if (frame->vector == VEC_BP && frame->rip == (uint64_t)user_done)
        user_return(frame->rax);
    if (handler) {
        handler(frame);
    } else if (point && frame->vector < EXCEPTION_VECTORS) {
        point->result = (struct caught){(int)frame->vector, frame->error, read_cr2(), frame->rip};
        resume_at(frame, point);
    } else {
        panic("vector %lu error 0x%lx rip 0x%lx cs 0x%lx rsp 0x%lx rflags 0x%lx cr2 0x%lx", frame->vector, frame->error,
              frame->rip, frame->cs, frame->rsp, frame->rflags, read_cr2());
    }
}

struct caught catch_fault(void (*fn)(void *), void *arg)
{
    struct catch_point point = {.outer = guest.catching, .result = {.vector = -1}};
    guest.catching = &point;
    catch_call(fn, arg, &point);
    guest.catching = point.outer;
    return point.result;
}

uint64_t run_user(uint64_t (*fn)(void *), void *arg)
{
    return user_call((uint64_t)fn, (uint64_t)arg, 0);
}
