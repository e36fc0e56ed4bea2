// SPDX-License-Identifier: BSD-2-Clause
// Every mnemonic of both engines' insns.def is made by a row of the differential test, or stands here with the reason
// why not: nothing is added to an engine that the host's CPU is not asked about.
#include <stdlib.h>

#include "tests/cpu/cases.h"
#include "tests/unit/check.h"
#include "x86/decode.h"

static const struct mnemonic {
    unsigned id; // X86_INS_*
    const char *name;
} mnemonics[] = {
#define INSN(mnemonic, ...) {X86_INS_##mnemonic, #mnemonic},
#define INSN_MMX(mnemonic, ...) {X86_INS_##mnemonic, #mnemonic},
#define INSN_VEX(mnemonic, ...) INSN(mnemonic) INSN(V##mnemonic)
#define SIMD(mnemonic, ...) INSN(mnemonic) INSN(V##mnemonic)
#define SIMD_VEX(mnemonic, ...) INSN(mnemonic)
#define SIMD_LEGACY(mnemonic, ...) INSN(mnemonic)
#define FMA(mnemonic, ...) INSN(mnemonic)
#include "engines/bt/insns.def"
#include "engines/interp/insns.def"
#include "engines/interp/simd_float.def"
#include "engines/interp/simd_int.def"
#undef INSN
#undef INSN_MMX
#undef INSN_VEX
#undef SIMD
#undef SIMD_VEX
#undef SIMD_LEGACY
#undef FMA
};
enum { MNEMONICS = sizeof mnemonics / sizeof mnemonics[0] };

// Names apart by spaces, under their reason.
static const char *const exceptions[][2] = {
    {"control flow, made by tests/cpu/flow.h and sequence.h",
     "CALL JMP RET JA JAE JB JBE JE JECXZ JG JGE JL JLE JNE JNO JNP JNS JO JP JRCXZ JS LOOP LOOPE LOOPNE"},
    {"interrupts and far transfers: tests/guest",
     "INT INT1 INT3 IRET IRETD IRETQ RETF RETFQ LCALL LJMP SYSCALL SYSRET LFS LGS LSS"},
    {"privileged, or by IOPL: tests/guest, interp_system, bt_system",
     "CLI STI HLT IN INSB INSW INSD OUT OUTSB OUTSW OUTSD WRMSR RDMSR WBINVD INVD INVLPG INVPCID STAC CLAC CLTS LMSW "
     "LGDT LIDT LLDT LTR SWAPGS XSETBV"},
    {"what it tells of the machine is not the host's",
     "CPUID RDTSC RDTSCP RDPMC RDRAND RDSEED RDPID XGETBV SGDT SIDT SLDT STR SMSW LAR LSL VERR VERW"},
    {"decoded as the nop that it is", "PREFETCH"},
    {"what it stores depends on what the processor has tracked: tests/guest", "XSAVEOPT XSAVEOPT64"},
};

static bool excepted(const char *name)
{
    for (unsigned i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++) {
        const char *at = exceptions[i][1], *found;
        size_t n = strlen(name);
        for (; (found = strstr(at, name)); at = found + 1)
            if ((found == exceptions[i][1] || found[-1] == ' ') && (found[n] == ' ' || !found[n]))
                return true;
    }
    return false;
}

static bool seen[X86_INS_ENDING];

static void make_all(void)
{
    enum { EACH = 300 };
    uint64_t rng = 1;
    for (unsigned row = 0; row < rows_count; row++) {
        for (unsigned n = 0; n < EACH; n++) {
            static struct test_case t;
            memset(&t, 0, sizeof t);
            if (make_of_row(&rng, row, &t))
                seen[insn_kind(t.bytes, t.length).id] = true;
        }
    }
}

int main(void)
{
    unsigned with_row = 0, without = 0;
    make_all();
    for (unsigned i = 0; i < MNEMONICS; i++) {
        const struct mnemonic *m = &mnemonics[i];
        bool has = seen[m->id], ok = has != excepted(m->name);
        with_row += has;
        without += !has;
        if (!CHECK_SAY(ok, "a mnemonic has a row or stands among the exceptions, and not both"))
            printf("# %s %s\n", m->name, has ? "has a row, and is an exception" : "has no row");
    }
    printf("# %u mnemonics with a row, %u exceptions\n", with_row, without);
    CHECK(with_row > 100);
    return check_done("cpu_rows");
}
