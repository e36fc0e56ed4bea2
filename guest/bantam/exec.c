// SPDX-License-Identifier: BSD-2-Clause
// execve: a new address space of a file's segments, and on its stack what a program finds at its start (System V ABI
// for AMD64, 3.4.1): strings, auxiliary vector, pointers. Until all of that is made, the old program can still be told
// of an error.
#include "guest/bantam/elf.h"
#include "guest/bantam/kernel.h"
#include "guest/insn.h"
#include "guest/state.h"

#define PATH_BYTES 256
#define STRINGS_MAX 256 // of argv and envp together
#define AUX_MAX 20
#define VECTOR_MAX (1 + STRINGS_MAX + 2 + 2 * AUX_MAX)
#define RANDOM_BYTES 16

static uint32_t hwcap; // CPUID.1:EDX, asked for once: it is slow where it is virtualized

// Strings of argv, then of envp, each with its NUL. A page of its own: a kernel stack has no room.
struct arguments {
    uint32_t argc, envc;
    uint32_t used;
    char text[PAGE_BYTES - 3 * sizeof(uint32_t)];
};

// What goes to the stack's top, while it is put together.
struct stack {
    struct space *space;
    uint64_t sp;
    int error;
    unsigned words;
    uint64_t vector[VECTOR_MAX];
};
_Static_assert(sizeof(struct arguments) <= PAGE_BYTES && sizeof(struct stack) <= PAGE_BYTES, "each is in one page");

static int add_string_from_user(struct arguments *a, uint64_t string)
{
    size_t room = sizeof a->text - a->used;
    int64_t length = strncpy_from_user(a->text + a->used, string, room);
    if (length < 0)
        return (int)length;
    if ((size_t)length >= room || a->argc + a->envc == STRINGS_MAX)
        return -E2BIG;
    a->used += (uint32_t)length + 1;
    return 0;
}

// One of the two lists. Linux takes a NULL list for an empty one.
static int add_list_from_user(struct arguments *a, uint64_t list, uint32_t *count)
{
    for (; list; list += sizeof(uint64_t)) {
        uint64_t string;
        if (copy_from_user(&string, list, sizeof string))
            return -EFAULT;
        if (!string)
            return 0;
        int error = add_string_from_user(a, string);
        if (error)
            return error;
        ++*count;
    }
    return 0;
}

static void add_string(struct arguments *a, const char *string)
{
    while (a->used < sizeof a->text) {
        a->text[a->used++] = *string;
        if (!*string++)
            return;
    }
    panic("the command line is too long for a program");
}

static void push_bytes(struct stack *s, const void *bytes, size_t size)
{
    s->sp -= size;
    int error = space_write(s->space, s->sp, bytes, size);
    if (error)
        s->error = error;
}

static void add_word(struct stack *s, uint64_t word)
{
    s->vector[s->words++] = word;
}

static void add_aux(struct stack *s, uint64_t type, uint64_t value)
{
    add_word(s, type);
    add_word(s, value);
}

// Pointers to `count` strings that lie one after the other; gives the address behind the last.
static uint64_t add_pointers(struct stack *s, const char **text, uint64_t at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        add_word(s, at);
        while (*(*text)++)
            at++;
        at++;
    }
    add_word(s, 0);
    return at;
}

// The bytes behind AT_RANDOM are a constant: a run must be the same each time, and nothing here needs a secret.
static void fill_stack(struct stack *s, const struct elf_program *p, const struct arguments *a, const char *path)
{
    static const uint64_t random[RANDOM_BYTES / sizeof(uint64_t)] = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9};
    size_t path_size = 1;
    while (path[path_size - 1])
        path_size++;
    push_bytes(s, path, path_size);
    uint64_t path_at = s->sp;
    push_bytes(s, a->text, a->used);
    uint64_t text_at = s->sp;
    s->sp &= ~15ull;
    push_bytes(s, random, sizeof random);
    uint64_t random_at = s->sp;

    const char *text = a->text;
    add_word(s, a->argc);
    uint64_t env_at = add_pointers(s, &text, text_at, a->argc);
    add_pointers(s, &text, env_at, a->envc);
    add_aux(s, AT_HWCAP, hwcap);
    add_aux(s, AT_PAGESZ, PAGE_BYTES);
    add_aux(s, AT_CLKTCK, TICK_HZ);
    add_aux(s, AT_PHDR, p->headers);
    add_aux(s, AT_PHENT, p->header_size);
    add_aux(s, AT_PHNUM, p->header_count);
    add_aux(s, AT_BASE, 0);
    add_aux(s, AT_FLAGS, 0);
    add_aux(s, AT_ENTRY, p->entry);
    add_aux(s, AT_UID, 0);
    add_aux(s, AT_EUID, 0);
    add_aux(s, AT_GID, 0);
    add_aux(s, AT_EGID, 0);
    add_aux(s, AT_SECURE, 0);
    add_aux(s, AT_RANDOM, random_at);
    add_aux(s, AT_EXECFN, path_at);
    add_aux(s, AT_NULL, 0);
    if (s->words % 2)
        s->sp -= sizeof(uint64_t); // rsp is to be a multiple of 16
    push_bytes(s, s->vector, s->words * sizeof(uint64_t));
}

static int map_segments(struct space *space, const struct elf_program *p, const char *bytes)
{
    for (unsigned i = 0; i < p->segments; i++) {
        const struct elf_segment *s = &p->segment[i];
        int error = space_map(space, s->start, s->end, s->prot, s->size ? bytes + s->offset : NULL, s->size);
        if (error)
            return error;
    }
    space_set_break(space, p->end);
    return space_map_stack(space);
}

// The space is complete, or freed and the error given.
static int build(struct stack *s, const struct elf_program *p, const struct archived *file, const struct arguments *a,
                 const char *path)
{
    *s = (struct stack){.space = space_create(), .sp = STACK_TOP};
    if (!s->space)
        return -ENOMEM;
    s->error = map_segments(s->space, p, file->bytes);
    if (!s->error)
        fill_stack(s, p, a, path);
    if (s->error)
        space_destroy(s->space);
    return s->error;
}

static int exec(const char *path, const struct arguments *a)
{
    struct elf_program program;
    const struct archived *file = archive_find(path);
    if (!file)
        return -ENOENT;
    int error = elf_read(&program, (const uint8_t *)file->bytes, file->size, STACK_TOP - STACK_MOST);
    struct stack *s = error ? NULL : page_take();
    if (error || !s)
        return error ? error : -ENOMEM;
    error = build(s, &program, file, a, path);
    struct space *space = s->space;
    uint64_t sp = s->sp;
    page_drop(physical_of_direct(s));
    if (!error)
        process_exec(space, program.entry, sp);
    return error;
}

int64_t sys_execve(struct trap_frame *frame)
{
    char path[PATH_BYTES];
    int64_t length = strncpy_from_user(path, ARG0(frame), sizeof path);
    if (length < 0)
        return length;
    if ((size_t)length >= sizeof path)
        return -ENAMETOOLONG;
    struct arguments *a = page_take();
    if (!a)
        return -ENOMEM;
    a->argc = a->envc = a->used = 0;
    int error = add_list_from_user(a, ARG1(frame), &a->argc);
    if (!error)
        error = add_list_from_user(a, ARG2(frame), &a->envc);
    if (!error)
        error = exec(path, a);
    page_drop(physical_of_direct(a));
    return error;
}

static bool is_init_word(const char *word)
{
    return word[0] == 'i' && word[1] == 'n' && word[2] == 'i' && word[3] == 't' && word[4] == '=';
}

void exec_first(void)
{
    char path[PATH_BYTES] = "/";
    hwcap = cpuid(1, 0).edx;
    const char *name = option("init");
    if (!name)
        name = archive->name;
    for (size_t i = 1; i + 1 < sizeof path && *name; i++)
        path[i] = *name++;
    struct arguments *a = page_take();
    if (!a)
        panic("no memory for the first program");
    a->argc = a->envc = a->used = 0;
    add_string(a, path);
    a->argc++;
    for (size_t at = 0; at < guest.cmdline_size; at++) {
        const char *word = guest.cmdline + at;
        if ((at > 0 && guest.cmdline[at - 1]) || !*word || is_init_word(word) || a->argc == STRINGS_MAX)
            continue;
        add_string(a, word);
        a->argc++;
    }
    int error = exec(path, a);
    page_drop(physical_of_direct(a));
    if (error)
        panic("%s, the first program: error %d", path, -error);
}
