// SPDX-License-Identifier: BSD-2-Clause
// The ELF loader: a good image, one bad image for each thing that can be wrong, and a few thousand mutated ones; and
// the state that a guest finds at its entry.
#include "machine/loader.h"

#include <elf.h>
#include <stdlib.h>

#include "include/guest_abi.h"
#include "machine/ram.h"
#include "tests/unit/check.h"
#include "tests/unit/fake_engine.h"
#include "x86/regs.h"

enum { SEGMENTS = 3, TEXT_BYTES = 64, DATA_BYTES = 32, MUTATIONS = 20000, RAM_BYTES = 8 << 20 };

// text (executable), data with bss, and a note that is not to be loaded
struct image {
    Elf64_Ehdr header;
    Elf64_Phdr segment[SEGMENTS];
    uint8_t text[TEXT_BYTES];
    uint8_t data[DATA_BYTES];
};

static const uint64_t text_at = 0x100000, data_at = 0x102010;

static struct image good_image(void)
{
    struct image i = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_entry = KERNEL_VIRT_BASE + text_at + 4,
                   .e_phoff = offsetof(struct image, segment),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = SEGMENTS},
        .segment = {{.p_type = PT_LOAD,
                     .p_flags = PF_R | PF_X,
                     .p_offset = offsetof(struct image, text),
                     .p_vaddr = KERNEL_VIRT_BASE + text_at,
                     .p_paddr = text_at,
                     .p_filesz = TEXT_BYTES,
                     .p_memsz = TEXT_BYTES},
                    {.p_type = PT_LOAD,
                     .p_flags = PF_R | PF_W,
                     .p_offset = offsetof(struct image, data),
                     .p_vaddr = KERNEL_VIRT_BASE + data_at,
                     .p_paddr = data_at,
                     .p_filesz = DATA_BYTES,
                     .p_memsz = 0x3000},
                    {.p_type = PT_NOTE, .p_offset = ~0ull, .p_paddr = 0, .p_filesz = ~0ull, .p_memsz = 1}},
    };
    memset(i.text, 0xcc, sizeof(i.text));
    memset(i.data, 0xda, sizeof(i.data));
    return i;
}

static char message[256];

static int load(const struct guest_ram *ram, const struct image *i, size_t size)
{
    uint64_t entry;
    message[0] = 0;
    return elf_load(ram, i, size, &entry, message, sizeof(message));
}

static bool one_line(const char *s)
{
    return *s && !strchr(s, '\n') && strlen(s) < sizeof(message) - 1;
}

static void test_good(const struct guest_ram *ram)
{
    struct image i = good_image();
    uint64_t entry = 0;
    memset(ram->base + text_at, 0xee, 0x10000);
    CHECK_EQ(elf_load(ram, &i, sizeof(i), &entry, message, sizeof(message)), 0);
    CHECK_EQ(entry, KERNEL_VIRT_BASE + text_at + 4);
    CHECK(memcmp(ram->base + text_at, i.text, TEXT_BYTES) == 0);
    CHECK(memcmp(ram->base + data_at, i.data, DATA_BYTES) == 0);
    bool zero = true;
    for (unsigned n = DATA_BYTES; n < 0x3000; n++)
        zero = zero && !ram->base[data_at + n];
    CHECK_SAY(zero, "bss is zero");
    CHECK_EQ(ram->base[text_at + TEXT_BYTES], 0xee); // and nothing else was touched
    CHECK_EQ(ram->base[data_at + 0x3000], 0xee);
}

// Refused, with a message that has the given words.
static void refused(const struct guest_ram *ram, const struct image *i, size_t size, const char *words)
{
    bool right = load(ram, i, size) == -1 && one_line(message) && strstr(message, words);
    static unsigned said;
    said = 0;
    if (!check_note(right, &said, __FILE_NAME__, __LINE__, words))
        printf("# said: %s\n", message);
}

// One change to the good image, and the words that its refusal must have.
#define BAD(words, change)                                                                                             \
    do {                                                                                                               \
        struct image i = good_image();                                                                                 \
        Elf64_Ehdr *h = &i.header;                                                                                     \
        Elf64_Phdr *s = i.segment;                                                                                     \
        (void)h, (void)s;                                                                                              \
        change;                                                                                                        \
        refused(ram, &i, sizeof(i), words);                                                                            \
    } while (0)

static void test_truncated(const struct guest_ram *ram)
{
    struct image i = good_image();
    refused(ram, &i, 0, "not an ELF file");
    refused(ram, &i, 3, "not an ELF file");
    refused(ram, &i, 40, "truncated");
    refused(ram, &i, sizeof(Elf64_Ehdr) + 60, "program headers at 0x40 lie outside");
    refused(ram, &i, sizeof(i) - 1, "lie outside the file's");
}

static void test_bad_headers(const struct guest_ram *ram)
{
    BAD("not an ELF file", h->e_ident[0] = 'M');
    BAD("not a 64-bit ELF file", h->e_ident[EI_CLASS] = ELFCLASS32);
    BAD("not a little-endian", h->e_ident[EI_DATA] = ELFDATA2MSB);
    BAD("unknown ELF version", h->e_ident[EI_VERSION] = 9);
    BAD("unknown ELF version", h->e_version = 0);
    BAD("not for x86-64 (ELF machine 183)", h->e_machine = EM_AARCH64);
    BAD("position-independent", h->e_type = ET_DYN);
    BAD("unlinked object file", h->e_type = ET_REL);
    BAD("not an executable (ELF type 4)", h->e_type = ET_CORE);
    BAD("no program headers", h->e_phnum = 0);
    BAD("program headers of 32 bytes", h->e_phentsize = 32);
    BAD("65535 program headers", h->e_phnum = 0xffff);
    BAD("lie outside its", h->e_phoff = ~0ull);
    BAD("lie outside its", h->e_phoff = sizeof(i) - 8);
    BAD("no segment to load", s[0].p_type = s[1].p_type = PT_NULL);
    BAD("no segment to load", (s[0].p_filesz = s[0].p_memsz = 0, s[1].p_type = PT_NULL));
    BAD("dynamically linked", s[2].p_type = PT_INTERP);
    BAD("dynamically linked", s[2].p_type = PT_DYNAMIC);
}

static void test_bad_segments(const struct guest_ram *ram)
{
    BAD("only 0x20 in memory", s[0].p_memsz = 32);
    BAD("lie outside the file's", s[0].p_offset = ~0ull);
    BAD("lie outside the file's", s[0].p_offset = sizeof(i) - TEXT_BYTES + 1);
    BAD("lie outside the file's", s[1].p_filesz = s[1].p_memsz = ~0ull);
    BAD("segment 1: loads at 0xff000, below 0x100000", s[1].p_paddr = 0xff000);
    BAD("below 0x100000", s[1].p_paddr = 0);
    BAD("outside the guest's RAM (8 MiB)", s[1].p_paddr = RAM_BYTES);
    BAD("outside the guest's RAM", s[1].p_paddr = RAM_BYTES - 0x2fff);
    BAD("outside the guest's RAM", s[1].p_paddr = APIC_DEFAULT_ADDR);
    BAD("outside the guest's RAM", s[1].p_paddr = ~0ull - 0x10);
    BAD("outside the guest's RAM", s[1].p_memsz = ~0ull);
    BAD("overlap another segment", s[1].p_paddr = text_at + TEXT_BYTES - 1);
    BAD("overlap another segment", (s[1].p_paddr = data_at, s[0].p_paddr = data_at + 0x2fff));
    BAD("is in no segment", h->e_entry = KERNEL_VIRT_BASE + text_at + TEXT_BYTES);
    BAD("is in no segment", h->e_entry = text_at);
    BAD("not executable", h->e_entry = KERNEL_VIRT_BASE + data_at);
    BAD("neither below 4 GiB nor", h->e_entry = 0x100000000);
    BAD("neither below 4 GiB nor", h->e_entry = KERNEL_VIRT_BASE - 1);
    BAD("its segment loads elsewhere", s[0].p_vaddr += 0x1000; h->e_entry += 0x1000);
}

static void test_identity_entry(const struct guest_ram *ram)
{
    struct image i = good_image();
    i.segment[0].p_vaddr = text_at;
    i.header.e_entry = text_at;
    CHECK_EQ(load(ram, &i, sizeof(i)), 0);
    i.segment[1].p_filesz = 0; // then the offset means nothing
    i.segment[1].p_offset = ~0ull;
    CHECK_EQ(load(ram, &i, sizeof(i)), 0);
}

// ---- ELF32 for Multiboot ----

struct image32 {
    Elf32_Ehdr header;
    Elf32_Phdr segment;
    uint32_t multiboot[3];
    uint8_t text[TEXT_BYTES];
};

static struct image32 good_image32(void)
{
    struct image32 i = {
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_386,
                   .e_version = EV_CURRENT,
                   .e_entry = text_at + 8,
                   .e_phoff = offsetof(struct image32, segment),
                   .e_phentsize = sizeof(Elf32_Phdr),
                   .e_phnum = 1},
        .segment = {.p_type = PT_LOAD,
                    .p_flags = PF_R | PF_X,
                    .p_offset = offsetof(struct image32, text),
                    .p_vaddr = text_at,
                    .p_paddr = text_at,
                    .p_filesz = TEXT_BYTES,
                    .p_memsz = TEXT_BYTES + 16},
        .multiboot = {0x1badb002, 2, 0u - 0x1badb002 - 2},
    };
    memset(i.text, 0xcc, sizeof i.text);
    return i;
}

static void refused32(const struct guest_ram *ram, const struct image32 *i, const char *words)
{
    uint64_t entry;
    message[0] = 0;
    CHECK(elf_load(ram, i, sizeof *i, &entry, message, sizeof message) == -1 && one_line(message));
    CHECK_SAY(strstr(message, words), words);
}

static void test_multiboot(const struct guest_ram *ram)
{
    struct image32 good = good_image32(), i = good;
    uint64_t entry = 0;
    memset(ram->base + text_at, 0xee, 0x1000);
    CHECK_EQ(elf_load(ram, &good, sizeof good, &entry, message, sizeof message), 0);
    CHECK(entry == text_at + 8 && memcmp(ram->base + text_at, good.text, TEXT_BYTES) == 0);
    CHECK(ram->base[text_at + TEXT_BYTES] == 0 && ram->base[text_at + TEXT_BYTES + 16] == 0xee);
    i.multiboot[0]++;
    refused32(ram, &i, "no Multiboot header");
    i = good, i.multiboot[2]++;
    refused32(ram, &i, "no Multiboot header");
    i = good, i.multiboot[1] = 4, i.multiboot[2] = 0u - i.multiboot[0] - 4;
    refused32(ram, &i, "asks for something that is not there");
    i = good, i.multiboot[1] = 0x10000, i.multiboot[2] = 0u - i.multiboot[0] - 0x10000;
    refused32(ram, &i, "load addresses of its own");
    i = good, i.header.e_machine = EM_X86_64;
    refused32(ram, &i, "not for x86-64 (ELF machine 62)");
    i = good, i.header.e_phentsize = sizeof(Elf64_Phdr);
    refused32(ram, &i, "program headers of 56 bytes, not 32");
    i = good, i.header.e_phoff = ~0u;
    refused32(ram, &i, "lie outside");
    i = good, i.segment.p_offset = ~0u;
    refused32(ram, &i, "lie outside the file's");
    i = good, i.segment.p_paddr = 0x8000;
    refused32(ram, &i, "below 0x100000");
}

static void test_multiboot_state(void)
{
    const struct machine_config config = {.ram_bytes = RAM_BYTES, .cmdline = "a b"};
    struct machine *m = fake_machine(&fake_engine, &config);
    struct image32 i = good_image32();
    CHECK_EQ(machine_load(m, &i, sizeof i, message, sizeof message), 0);
    const struct guest_ram *ram = machine_vcpu(m)->ram;
    const struct vcpu_state *s = &fake_of(machine_vcpu(m))->state;
    CHECK(s->rip == text_at + 8 && (uint32_t)s->gpr[RAX] == 0x2badb002 && s->rflags == FLAG_FIXED1);
    CHECK(s->cr0 == (CR0_PE | CR0_ET) && s->cr4 == 0 && s->efer == 0);
    CHECK(s->seg[SEG_CS].attr == 0xc9b && s->seg[SEG_CS].limit == UINT32_MAX && s->seg[SEG_DS].attr == 0xc93);
    const uint32_t *info = ram_at(ram, gpa(s->gpr[RBX]), 88); // Multiboot 0.6.96, 3.3
    CHECK(info[0] == 0x45 && info[1] == 639 && info[2] == (RAM_BYTES >> 10) - 1024);
    CHECK_STR(ram_at(ram, gpa(info[4]), 16), "image a b");
    CHECK_EQ(info[11], 2 * 24);
    const uint32_t *map = ram_at(ram, gpa(info[12]), info[11]); // size, base, length, type
    CHECK(map[0] == 20 && map[1] == 0 && map[3] == 639 << 10 && map[5] == 1);
    CHECK(map[6] == 20 && map[7] == 0x100000 && map[9] == RAM_BYTES - 0x100000 && map[11] == 1);
    // The test device, which only such guests have; and what a guest may ask of the firmware's port.
    CHECK(out(m, 0xe0, 4, 0x12345678) == VCPU_CONTINUE && in(m, 0xe0, 4) == 0x12345678 && in(m, 0xe0, 2) == 0x5678);
    CHECK(mmio_out(m, 0xff000ffc, 4, 0xabcd) == VCPU_CONTINUE && mmio_in(m, 0xff000ffc, 4) == 0xabcd);
    CHECK_EQ(mmio_in(m, 0xff00fffe, 4), 0xffffffff);
    out(m, 0x510, 2, 3);
    uint64_t ram_bytes = 0;
    for (unsigned n = 0; n < 8; n++)
        ram_bytes |= (uint64_t)in(m, 0x511, 1) << (8 * n);
    CHECK(ram_bytes == RAM_BYTES && in(m, 0x511, 1) == 0);
    out(m, 0x510, 2, 5);
    CHECK(in(m, 0x511, 1) == 1 && in(m, 0x511, 1) == 0);
    machine_destroy(m);
}

// Random changes of headers and length: refused in one line or loaded, never a crash or a write outside RAM.
static void test_mutations(const struct guest_ram *ram)
{
    uint64_t seed = 20061021;
    unsigned loaded = 0;
    for (unsigned n = 0; n < MUTATIONS; n++) {
        struct image i = good_image();
        uint8_t *bytes = (uint8_t *)&i;
        size_t headers = offsetof(struct image, text);
        for (unsigned changes = 1 + random64(&seed) % 4; changes; changes--) {
            uint64_t r = random64(&seed), at = r % headers;
            static const uint64_t values[] = {0, 1, ~0ull, 1ull << 63, RAM_BYTES, 0x100000, RAM_HOLE_END, 0x1000};
            if (r & 1ull << 40)
                bytes[at] = (uint8_t)(r >> 48);
            else if (at >= 8)
                memcpy(bytes + at / 8 * 8, &values[r >> 48 & 7], 8);
        }
        size_t size = random64(&seed) % 4 ? sizeof(i) : random64(&seed) % sizeof(i);
        uint8_t *copy = malloc(size ? size : 1); // so that a read beyond the end is seen
        memcpy(copy, &i, size);
        uint64_t entry;
        message[0] = 0;
        int result = elf_load(ram, copy, size, &entry, message, sizeof(message));
        CHECK_SAY(result == 0 || one_line(message), "a mutated image is loaded or refused in one line");
        loaded += result == 0;
        free(copy);
    }
    CHECK_SAY(loaded > 0 && loaded < MUTATIONS, "some mutations are harmless, some are not");
}

// What the page tables map an address to, or ~0.
static uint64_t mapped(const struct guest_ram *ram, uint64_t cr3, uint64_t va)
{
    uint64_t table = cr3;
    for (int shift = 39; shift >= 21; shift -= 9) {
        const uint64_t *entries = ram_at(ram, gpa(table), GUEST_PAGE_SIZE);
        uint64_t e = entries[va >> shift & 511];
        if (!(e & PTE_P))
            return ~0ull;
        table = e & PTE_ADDR;
        if (e & PTE_PS)
            return table + (va & ((1ull << shift) - 1));
    }
    return ~0ull;
}

static void test_entry_state(void)
{
    const struct machine_config config = {.ram_bytes = RAM_BYTES, .cmdline = "reps=3 n=7"};
    struct machine *m = fake_machine(&fake_engine, &config);
    struct image i = good_image();
    CHECK_EQ(machine_load(m, &i, sizeof(i), message, sizeof(message)), 0);
    const struct guest_ram *ram = machine_vcpu(m)->ram;
    const struct vcpu_state *s = &fake_of(machine_vcpu(m))->state;
    CHECK_EQ(s->rip, i.header.e_entry);
    CHECK_EQ(s->gpr[RSI], BOOT_INFO_ADDR);
    CHECK_EQ(s->rflags, FLAG_FIXED1);
    CHECK_EQ(s->efer, EFER_LME | EFER_LMA);
    CHECK_EQ(s->cr0 & (CR0_PE | CR0_PG | CR0_ET), CR0_PE | CR0_PG | CR0_ET);
    CHECK_EQ(s->cr4, CR4_PAE);
    CHECK_EQ(s->seg[SEG_CS].selector, 0x10);
    CHECK_EQ(s->seg[SEG_CS].attr, 0xa9b);
    CHECK_EQ(s->seg[SEG_SS].selector, 0x18);
    CHECK_EQ(s->seg[SEG_DS].attr, 0xc93);
    CHECK(s->ldtr.unusable && !s->tr.unusable && s->tr.attr == 0x8b);
    CHECK_EQ(s->dr6, 0xffff0ff0);
    CHECK_EQ(s->dr7, 0x400);
    CHECK_EQ(s->pat, PAT_RESET);
    CHECK_EQ(s->xcr0, 1);
    CHECK(s->xsave[0] == 0x7f && s->xsave[1] == 3 && s->xsave[24] == 0x80 && s->xsave[25] == 0x1f);

    const uint64_t *gdt = ram_at(ram, gpa(s->gdtr.base), s->gdtr.limit + 1u);
    CHECK_EQ(gdt[0x10 / 8], 0x00af9b000000ffff);
    CHECK_EQ(gdt[0x18 / 8], 0x00cf93000000ffff);
    const struct boot_info *info = ram_at(ram, gpa(BOOT_INFO_ADDR), sizeof(*info));
    CHECK_EQ(info->magic, BOOT_INFO_MAGIC);
    CHECK_EQ(info->ram_bytes, RAM_BYTES);
    CHECK_STR(ram_at(ram, gpa(info->cmdline), 16), "reps=3 n=7");

    CHECK_EQ(mapped(ram, s->cr3, 0), 0);
    CHECK_EQ(mapped(ram, s->cr3, 0x12345678), 0x12345678);
    CHECK_EQ(mapped(ram, s->cr3, 0xfee00020), 0xfee00020);
    CHECK_EQ(mapped(ram, s->cr3, 0x100000000), ~0ull);
    CHECK_EQ(mapped(ram, s->cr3, KERNEL_VIRT_BASE + 0x123456), 0x123456);
    CHECK_EQ(mapped(ram, s->cr3, ~0ull), 0x7fffffff);
    CHECK_EQ(mapped(ram, s->cr3, KERNEL_VIRT_BASE - 1), ~0ull);
    machine_destroy(m);
}

static void test_cmdline_length(void)
{
    char line[2049];
    memset(line, 'x', sizeof(line));
    line[2047] = 0;
    struct image i = good_image();
    struct machine_config config = {.ram_bytes = RAM_BYTES, .cmdline = line};
    struct machine *m = fake_machine(&fake_engine, &config);
    CHECK_EQ(machine_load(m, &i, sizeof(i), message, sizeof(message)), 0);
    machine_destroy(m);
    line[2047] = 'x';
    line[2048] = 0;
    m = fake_machine(&fake_engine, &config);
    CHECK_EQ(machine_load(m, &i, sizeof(i), message, sizeof(message)), -1);
    CHECK_STR(message, "the command line has 2048 bytes, more than 2047");
    machine_destroy(m);
}

int main(void)
{
    struct guest_ram ram;
    if (!CHECK(ram_create(&ram, RAM_BYTES, message, sizeof(message)) == 0))
        return check_done("loader");
    test_good(&ram);
    test_truncated(&ram);
    test_bad_headers(&ram);
    test_bad_segments(&ram);
    test_identity_entry(&ram);
    test_mutations(&ram);
    test_multiboot(&ram);
    ram_destroy(&ram);
    test_entry_state();
    test_multiboot_state();
    test_cmdline_length();
    return check_done("loader");
}
