// SPDX-License-Identifier: BSD-2-Clause
// Fuzzing the image loader: an ELF file that nobody trusts. An image that is refused leaves RAM as it was, and one line
// that says why; one that is taken has its entry in RAM's two mappings, and nothing is written below its first segment.
#include "tests/fuzz/fuzz.h"

#include <elf.h>

#include "machine/loader.h"
#include "machine/ram.h"

#define RAM_BYTES (8ull << 20)

const char fuzz_name[] = "loader";
const unsigned fuzz_runs = 4000;

static struct guest_ram ram;
static uint8_t *blank;

const char *fuzz_start(void)
{
    static char err[128];
    blank = calloc(1, RAM_BYTES);
    if (ram.base || ram_create(&ram, RAM_BYTES, err, sizeof err) == 0)
        return NULL;
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[256] = "";
    uint64_t entry = 0;
    struct vcpu_state *state = malloc(sizeof *state);
    if (!ram.base)
        fuzz_start();
    memset(ram.base, 0, RAM_BYTES);
    int result = elf_load(&ram, data, size, &entry, err, sizeof err);
    if (result) {
        FUZZ_CHECK(result == -1 && *err && !strchr(err, '\n'), data, size);
        FUZZ_CHECK(!memcmp(ram.base, blank, RAM_BYTES), data, size);
    } else {
        FUZZ_CHECK(!*err && state, data, size);
        if (boot_prepare(&ram, "cmdline", entry, state, err, sizeof err) == 0)
            FUZZ_CHECK(state->rip == entry, data, size);
    }
    free(state);
    return 0;
}

// A small image of up to four segments, of which a few bytes are then something else.
size_t fuzz_input(uint8_t *data, uint64_t *rng)
{
    static const uint64_t odd[] = {0,          1,          7,          0x38,  0x1000,       0x7fffffff, 0x80000000,
                                   0xfffff000, 0xffffffff, 1ull << 63, ~0ull, ~0ull - 4096, RAM_BYTES,  RAM_BYTES - 1,
                                   0xc0000000, 1ull << 32};
    unsigned count = (unsigned)(fuzz_random(rng) % 5);
    size_t size = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_EXEC,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_entry = 0xffffffff80100000,
                         .e_phoff = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = (Elf64_Half)count};
    memcpy(data, &header, sizeof header);
    for (unsigned i = 0; i < count; i++) {
        uint64_t bytes = fuzz_random(rng) % 300, at = 0x100000 + i * 0x10000;
        Elf64_Phdr segment = {.p_type = fuzz_random(rng) % 8 ? PT_LOAD : PT_NOTE,
                              .p_flags = PF_R | PF_X,
                              .p_offset = size,
                              .p_vaddr = 0xffffffff80000000 + at,
                              .p_paddr = at,
                              .p_filesz = bytes,
                              .p_memsz = bytes + fuzz_random(rng) % 0x8000};
        memcpy(data + sizeof header + i * sizeof segment, &segment, sizeof segment);
        memset(data + size, 0xcc, bytes);
        size += bytes;
    }
    size_t head = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr);
    for (unsigned n = (unsigned)(fuzz_random(rng) % 6); n; n--) {
        size_t at = fuzz_random(rng) % (head - 8);
        uint64_t v = odd[fuzz_random(rng) % (sizeof odd / sizeof *odd)] + fuzz_random(rng) % 3 - 1;
        if (fuzz_random(rng) % 2)
            memcpy(data + at / 8 * 8, &v, sizeof v);
        else
            data[at] = (uint8_t)fuzz_random(rng);
    }
    return fuzz_random(rng) % 8 ? size : fuzz_random(rng) % size;
}
