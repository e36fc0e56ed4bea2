// SPDX-License-Identifier: BSD-2-Clause
// From start.S to image_main() and out again.
#include "guest/insn.h"
#include "guest/report.h"
#include "guest/state.h"
#include "guest/vectors.h"

#define PIC1_DATA 0x21
#define PIC2_DATA 0xa1

struct guest_state guest;

void start_main(unsigned how, uint64_t info); // called by start.S alone

void start_main(unsigned how, uint64_t info)
{
    options_init(how, info);
    descriptors_init();
    paging_init();
    vectors_on();
    // Firmware may have left the 8259s open; an image that wants interrupts sets them up itself.
    outb(PIC1_DATA, 0xff);
    outb(PIC2_DATA, 0xff);
    console_init();
    tsc_init();
    if (image_records)
        print(RS1_PREFIX "begin name=%s\n", image_name);
    int status = image_main();
    image_exit(checked_status(status));
}

_Noreturn void panic_at_syscall(void); // called by user.S alone

_Noreturn void panic_at_syscall(void)
{
    panic("syscall, but the image has set no LSTAR");
}
