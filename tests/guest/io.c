// SPDX-License-Identifier: BSD-2-Clause
// Port I/O: what in leaves in rax at each width, both addressing forms, ins and outs with rep, ports that nobody
// answers (SDM vol. 2, IN, OUT, INS, OUTS). The 16550's scratch register serves as the memory behind a port.
#include "guest/insn.h"
#include "guest/lib.h"

IMAGE("io");

#define SCRATCH (PORT_SERIAL + 7)
#define NOBODY 0x2d8 // no device of a PC with nothing plugged in

int image_main(void)
{
    outb(SCRATCH, 0x5a);
    uint64_t rax = 0x1122334455667788;
    __asm__ volatile("inb %%dx, %%al" : "+a"(rax) : "d"(SCRATCH | 0xabc0000));
    CHECK_EQ(rax, 0x112233445566775a);
    rax = 0x1122334455667788;
    __asm__ volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(NOBODY));
    CHECK_EQ(rax, 0x112233445566ffff);
    rax = 0x1122334455667788;
    __asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(NOBODY));
    CHECK_EQ(rax, 0xffffffff);
    __asm__ volatile("outb %%al, $0x80" : : "a"(0x12));
    __asm__ volatile("inb $0x80, %%al" : "+a"(rax)); // what it reads is the machine's business

    uint8_t bytes[4] = {1, 2, 3, 4};
    const uint8_t *from = bytes;
    uint64_t count = 3;
    __asm__ volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(SCRATCH) : "memory");
    CHECK(from == bytes + 3 && count == 0);
    CHECK_EQ(inb(SCRATCH), 3);
    uint8_t *to = bytes;
    count = 2;
    __asm__ volatile("rep insb" : "+D"(to), "+c"(count) : "d"(SCRATCH) : "memory");
    CHECK(to == bytes + 2 && count == 0 && bytes[0] == 3 && bytes[1] == 3 && bytes[2] == 3 && bytes[3] == 4);
    to = bytes + 3;
    __asm__ volatile("std; insb; cld" : "+D"(to) : "d"(SCRATCH) : "memory");
    CHECK(to == bytes + 2 && bytes[3] == 3);
    uint32_t words[2] = {0, 0};
    to = (uint8_t *)words;
    __asm__ volatile("insl" : "+D"(to) : "d"(NOBODY) : "memory");
    CHECK(to == (uint8_t *)&words[1] && words[0] == 0xffffffff && words[1] == 0);
    return 0;
}
