// SPDX-License-Identifier: BSD-2-Clause
// Reading a TU: behind which of its instructions somebody may read the flags, and which registers are dead there.
#include "engines/bt/translate.h"
#include "tests/unit/bt_guest.h"
#include "tests/unit/bt_possible.h"

enum { MOST = 5 };

struct row {
    const char *what;
    uint8_t bytes[24];
    struct {
        bool flags_live;
        uint32_t dead;
    } behind[MOST];
};

#define AX (1u << RAX)
#define BX (1u << RBX)
#define DX (1u << RDX)

static const struct row rows[] = {
    {"add $8, %rsp; mov %rbx, %rax; pop %rbx; ret",
     {0x48, 0x83, 0xc4, 8, 0x48, 0x89, 0xd8, 0x5b, 0xc3},
     {{true, AX}, {true, 0}, {true, 0}}},
    {"add $8, %rsp; mov %rax, %rbx; mov $0, %eax; xor %edx, %edx; ret: the xor reads edx as any instruction",
     {0x48, 0x83, 0xc4, 8, 0x48, 0x89, 0xc3, 0xb8, 0, 0, 0, 0, 0x31, 0xd2, 0xc3},
     {{false, BX}, {false, AX}, {false, 0}, {true, 0}}},
    {"mov (%rdx), %rbx; mov $0, %eax; ret: the load may fault, and shows all",
     {0x48, 0x8b, 0x1a, 0xb8, 0, 0, 0, 0, 0xc3},
     {{true, AX}, {true, 0}}},
    {"nop; mov (%rdx), %rbx; mov $0, %eax; ret",
     {0x90, 0x48, 0x8b, 0x1a, 0xb8, 0, 0, 0, 0, 0xc3},
     {{true, 0}, {true, AX}, {true, 0}}},
    {"nop; mov %ax, %bx; mov %rax, %rsp; lea (%rdx), %rdx; ret: half a register is not all of it, rsp is never dead",
     {0x90, 0x66, 0x89, 0xc3, 0x48, 0x89, 0xc4, 0x48, 0x8d, 0x12, 0xc3},
     {{true, 0}, {true, 0}, {true, 0}, {true, 0}}},
    {"nop; lea 1(%rbx), %rdx; mov %edx, %ebx; ret",
     {0x90, 0x48, 0x8d, 0x53, 1, 0x89, 0xd3, 0xc3},
     {{true, DX}, {true, BX}, {true, 0}}},
};

static void check_row(const struct row *row)
{
    struct guest g;
    struct vcpu_state s;
    struct tu tu;
    set_up(&g, NULL, row->bytes, sizeof row->bytes);
    struct bt *bt = g.vcpu.engine_data;
    begin_at(&g, CODE, &s);
    CHECK_EQ(engine_bt.set_state(&g.vcpu, &s), 0);
    tu_read(bt, &tu, TU_MAX_INSNS);
    for (unsigned i = 0; i + 1 < tu.count; i++)
        if (!CHECK(tu.insn[i].flags_live == row->behind[i].flags_live && tu.insn[i].dead == row->behind[i].dead))
            printf("# instruction %u of %s: %d, %#x\n", i, row->what, tu.insn[i].flags_live, tu.insn[i].dead);
    CHECK(tu.count > 2 && tu.insn[tu.count - 1].flags_live && !tu.insn[tu.count - 1].dead);
    tear_down(&g);
}

// A debugger stops in front of an instruction: there all has to be as it was.
static void breakpoint(void)
{
    // add $8, %rsp; mov %rbx, %rax; xor %edx, %edx; ret
    static const uint8_t code[] = {0x48, 0x83, 0xc4, 8, 0x48, 0x89, 0xd8, 0x31, 0xd2, 0xc3};
    struct guest g;
    struct vcpu_state s;
    struct tu tu;
    set_up(&g, NULL, code, sizeof code);
    struct bt *bt = g.vcpu.engine_data;
    begin_at(&g, CODE, &s);
    CHECK_EQ(engine_bt.set_state(&g.vcpu, &s), 0);
    for (unsigned n = 0; n < 2; n++) {
        CHECK_EQ(engine_bt.set_breakpoints(&g.vcpu, &(struct breakpoints){.count = n, .at = {CODE + 4}}), 0);
        tu_read(bt, &tu, TU_MAX_INSNS);
        CHECK_EQ(tu.insn[0].flags_live, n);
        CHECK_EQ(tu.insn[0].dead, n ? 0 : AX);
    }
    tear_down(&g);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!bt_possible(argv))
        return 0;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
    breakpoint();
    return check_done("bt_tu");
}
