// SPDX-License-Identifier: BSD-2-Clause
// Fuzzing the image loader: an ELF file or a Linux kernel that nobody trusts. An image that is refused leaves RAM as it
// was, and one line that says why; the guest of one that is taken starts at its entry.
#include "tests/fuzz/fuzz.h"

#include <elf.h>

#include "machine/linux.h"
#include "machine/loader.h"
#include "machine/ram.h"
#include "x86/regs.h"

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

// An ELF file's entry is its own; a kernel's lies in RAM, as does its RAM disk: here the last bytes of the file.
static int load(const uint8_t *data, size_t size, struct vcpu_state *state, char *err, size_t err_size)
{
    uint64_t entry;
    if (linux_is_for(data, size)) {
        size_t initrd = size / 8;
        const struct linux_guest guest = {data, size - initrd, initrd ? data + size - initrd : NULL, initrd, "cmdline"};
        if (linux_load(&ram, &guest, state, err, err_size))
            return -1;
        FUZZ_CHECK(ram_at(&ram, gpa(state->rip), 1) && ram_at(&ram, gpa(state->gpr[RSI]), GUEST_PAGE_SIZE), data, size);
        return 0;
    }
    if (elf_load(&ram, data, size, &entry, err, err_size))
        return -1;
    if (boot_prepare(&ram, "cmdline", entry, state, err, err_size) == 0)
        FUZZ_CHECK(state->rip == entry, data, size);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char err[256] = "";
    struct vcpu_state *state = malloc(sizeof *state);
    if (!ram.base)
        fuzz_start();
    memset(ram.base, 0, RAM_BYTES);
    FUZZ_CHECK(state, data, size);
    if (load(data, size, state, err, sizeof err)) {
        FUZZ_CHECK(*err && !strchr(err, '\n'), data, size);
        FUZZ_CHECK(!memcmp(ram.base, blank, RAM_BYTES), data, size);
    } else {
        FUZZ_CHECK(!*err, data, size);
    }
    free(state);
    return 0;
}

static const uint64_t odd[] = {0,          1,          7,          0x38,  0x1000,       0x7fffffff, 0x80000000,
                               0xfffff000, 0xffffffff, 1ull << 63, ~0ull, ~0ull - 4096, RAM_BYTES,  RAM_BYTES - 1,
                               0xc0000000, 1ull << 32};

// Some of these bytes are then something else.
static void spoil(uint8_t *data, size_t first, size_t end, uint64_t *rng)
{
    for (unsigned n = (unsigned)(fuzz_random(rng) % 6); n; n--) {
        size_t at = first + fuzz_random(rng) % (end - first - 8);
        uint64_t v = odd[fuzz_random(rng) % (sizeof odd / sizeof *odd)] + fuzz_random(rng) % 3 - 1;
        if (fuzz_random(rng) % 2)
            memcpy(data + at / 8 * 8, &v, sizeof v);
        else
            data[at] = (uint8_t)fuzz_random(rng);
    }
}

// A Linux kernel of few bytes and little room, by the offsets of the kernel's boot.rst.
static size_t kernel_input(uint8_t *data, uint64_t *rng)
{
    static const struct {
        unsigned at, bytes;
        uint64_t value;
    } fields[] = {{0x1f1, 1, 1},     {0x1fe, 2, 0xaa55}, {0x201, 1, 0x6a}, {0x202, 4, 0x53726448}, {0x206, 2, 0x20f},
                  {0x22c, 4, ~0ull}, {0x236, 2, 1},      {0x238, 4, 2047}, {0x258, 8, 0x100000},   {0x260, 4, 0x10000}};
    size_t size = 0x600 + fuzz_random(rng) % 0x200;
    memset(data, 0x90, size);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        memcpy(data + fields[i].at, &fields[i].value, fields[i].bytes);
    spoil(data, 0x1f0, 0x270, rng);
    return fuzz_random(rng) % 8 ? size : fuzz_random(rng) % size;
}

// A small image of up to four segments.
static size_t elf_input(uint8_t *data, uint64_t *rng)
{
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
    spoil(data, 0, head, rng);
    return fuzz_random(rng) % 8 ? size : fuzz_random(rng) % size;
}

size_t fuzz_input(uint8_t *data, uint64_t *rng)
{
    return fuzz_random(rng) % 2 ? elf_input(data, rng) : kernel_input(data, rng);
}
