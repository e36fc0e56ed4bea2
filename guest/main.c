// SPDX-License-Identifier: BSD-2-Clause
// From start.S to image_main() and out again.
#include "guest/insn.h"
#include "guest/state.h"

#define PIC1_DATA 0x21
#define PIC2_DATA 0xa1

struct guest_state guest;

void start_main(unsigned how, uint64_t info); // called by start.S alone

void start_main(unsigned how, uint64_t info)
{
    options_init(how, info);
    descriptors_init();
    paging_init();
    // Firmware may have left the 8259s open; an image that wants interrupts sets them up itself.
    outb(PIC1_DATA, 0xff);
    outb(PIC2_DATA, 0xff);
    console_init();
    bench_init();
    print(RS1_PREFIX "begin name=%s\n", image_name);
    int status = image_main();
    image_exit(status ? status : guest.check_failed);
}

_Noreturn void panic_at_syscall(void); // called by user.S alone

_Noreturn void panic_at_syscall(void)
{
    panic("syscall, but the image has set no LSTAR");
}

void check_record(bool ok, const char *what, uint64_t got, uint64_t want)
{
    print(RS1_PREFIX "check name=%s ok=%d what=%s", image_name, ok, what);
    if (!ok) {
        guest.check_failed = true;
        print(" (got 0x%lx, want 0x%lx)", got, want);
    }
    print("\n");
}

void skip(const char *why)
{
    print(RS1_PREFIX "skip name=%s why=%s\n", image_name, why);
}
