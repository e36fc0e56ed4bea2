// SPDX-License-Identifier: BSD-2-Clause
// What the library keeps while an image runs, in one object, and the functions that its files call in each other.
#ifndef RINGSIDE_GUEST_STATE_H
#define RINGSIDE_GUEST_STATE_H

#include "guest/layout.h"
#include "guest/lib.h"

struct gate { // SDM vol. 3, 6.14.1
    uint16_t offset_low, selector, attributes, offset_middle;
    uint32_t offset_high, reserved;
};

struct tss { // SDM vol. 3, 8.7
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
} __attribute__((packed));

// Where catch_fault() goes on after a fault; rsp is written by catch_call() in trap.S.
struct catch_point {
    uint64_t rsp;
    struct catch_point *outer;
    struct caught result;
};

struct guest_state {
    struct gate idt[256];
    trap_fn *handlers[256];
    struct catch_point *catching;
    struct tss tss;

    char cmdline[2048]; // words, each ended by a NUL
    size_t cmdline_size;
    uint64_t ram_end;

    bool serial_fifo;     // the UART takes 16 bytes each time its holding register is empty
    unsigned serial_room; // bytes that it takes now without a look at its status

    size_t pages_used;
};

extern struct guest_state guest;

// main.c's part, in the order of start_main().
void options_init(unsigned how, uint64_t info);
void descriptors_init(void);
void paging_init(void);
void console_init(void);

// trap.S, user.S
void catch_call(void (*fn)(void *), void *arg, struct catch_point *point);
void catch_resume(void);
_Noreturn void user_return(uint64_t result);
extern const char user_done[]; // where the breakpoint that ends user_call() reports
uint64_t user_call(uint64_t fn, uint64_t arg0, uint64_t arg1);
void syscall_unexpected(void);
extern const char trap_stubs[]; // 256 of TRAP_STUB_BYTES
extern char trap_stack_top[], double_fault_stack_top[];

#endif
