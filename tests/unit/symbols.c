// SPDX-License-Identifier: BSD-2-Clause
// Symbol tables of images that are not to be trusted: each damaged, nothing outside of the file is read (the bytes end
// where their allocation ends, for the sanitizer to see).
#include "run/symbols.h"

#include <elf.h>
#include <stdlib.h>

#include "tests/unit/check.h"

struct file {
    Elf64_Ehdr header;
    Elf64_Shdr section[3]; // null, symbols, their names
    Elf64_Sym symbol[4];
    char names[32];
};

static const struct file good = {
    .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64},
               .e_shoff = offsetof(struct file, section),
               .e_shentsize = sizeof(Elf64_Shdr),
               .e_shnum = 3},
    .section = {{0},
                {.sh_type = SHT_SYMTAB,
                 .sh_offset = offsetof(struct file, symbol),
                 .sh_size = sizeof good.symbol,
                 .sh_link = 2},
                {.sh_type = SHT_STRTAB, .sh_offset = offsetof(struct file, names), .sh_size = sizeof good.names}},
    .symbol = {{0},
               {.st_name = 1, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0xffffffff80100000},
               {.st_name = 7, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0xffffffff80100040},
               {.st_name = 13, .st_info = STT_OBJECT, .st_shndx = 1, .st_value = 0xffffffff80100042}},
    .names = "\0start\0middle\0data",
};

static void names(void)
{
    struct file f = good;
    const uint8_t *bytes = (const uint8_t *)&f;
    uint64_t value = 0;
    char err[128] = "", text[96];
    CHECK_EQ(symbol_find(bytes, sizeof f, "start", &value, err, sizeof err), 0);
    CHECK_EQ(value, 0xffffffff80100000);
    CHECK_EQ(symbol_find(bytes, sizeof f, "data", &value, err, sizeof err), -1); // no code
    CHECK_EQ(symbol_find(bytes, sizeof f, "midle", &value, err, sizeof err), -1);
    CHECK(strstr(err, "did you mean 'middle'?"));
    CHECK_STR(symbol_text(bytes, sizeof f, 0xffffffff80100000, text, sizeof text), "start");
    CHECK_STR(symbol_text(bytes, sizeof f, 0xffffffff8010003f, text, sizeof text), "start+0x3f");
    CHECK_STR(symbol_text(bytes, sizeof f, 0xffffffff80100043, text, sizeof text), "middle+0x3");
    CHECK_STR(symbol_text(bytes, sizeof f, 0xffffffff800fffff, text, sizeof text), "0xffffffff800fffff");
    CHECK_STR(symbol_text(bytes, sizeof f, 0xffffffff80200000, text, sizeof text), "0xffffffff80200000");
    memcpy(f.names + 1, "s\"\n\x1b\\", 5);
    CHECK_STR(symbol_text(bytes, sizeof f, 0xffffffff80100000, text, sizeof text), "s????");
}

// With every byte of the file set to each of these in turn, and with the file cut off anywhere.
static void damaged(void)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    unsigned found = 0;
    uint64_t value;
    char err[128], text[96];
    for (size_t size = 0; size <= sizeof good; size++) {
        uint8_t *bytes = malloc(size ? size : 1);
        memcpy(bytes, &good, size);
        found += symbol_find(bytes, size, "middle", &value, err, sizeof err) == 0;
        free(bytes);
    }
    CHECK(found >= 1 && found <= sizeof good.names);
    for (size_t i = 0; i < sizeof good; i++) {
        for (size_t k = 0; k < sizeof values; k++) {
            uint8_t *bytes = malloc(sizeof good);
            memcpy(bytes, &good, sizeof good);
            memset(bytes + i, values[k], i + 8 <= sizeof good && k > 2 ? 8 : 1);
            found += symbol_find(bytes, sizeof good, "middle", &value, err, sizeof err) == 0;
            symbol_text(bytes, sizeof good, 0xffffffff80100041, text, sizeof text);
            free(bytes);
        }
    }
    CHECK(found > sizeof good); // most bytes do not matter
}

int main(void)
{
    names();
    damaged();
    return check_done("symbols");
}
