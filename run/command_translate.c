// SPDX-License-Identifier: BSD-2-Clause
// `ringside translate`: guest code and what the binary translator makes of it, side by side, or as a graph.
#include <capstone/capstone.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/machine.h"
#include "run/commands.h"
#include "run/images.h"
#include "run/symbols.h"
#include "run/variant.h"

enum { UNITS_MAX = 100, TEXT_SIZE = 256, NAME_SIZE = 96 };
#define RAM_BYTES (128ull << 20)

struct view {
    const uint8_t *image;
    size_t image_size;
    csh capstone;
    struct view_unit *unit;
    size_t count;
};

static void keep(void *ctx, const struct view_unit *unit)
{
    struct view *v = ctx;
    struct view_unit *more = reallocarray(v->unit, v->count + 1, sizeof *more);
    if (!more)
        return;
    v->unit = more;
    more[v->count++] = *unit;
}

static const char *name_of(const struct view *v, uint64_t rip, char name[static NAME_SIZE])
{
    return symbol_text(v->image, v->image_size, rip, name, NAME_SIZE);
}

// ---- Instructions as text ----

// The unit that begins at this host address, or NULL.
static const struct view_unit *unit_at(const struct view *v, uint64_t host)
{
    for (size_t i = 0; i < v->count; i++)
        if ((uint64_t)(uintptr_t)v->unit[i].host == host)
            return &v->unit[i];
    return NULL;
}

static bool branch_target(const struct view *v, const cs_insn *in, uint64_t *target)
{
    bool branch = cs_insn_group(v->capstone, in, CS_GRP_JUMP) || cs_insn_group(v->capstone, in, CS_GRP_CALL) ||
                  in->id == X86_INS_LOOP || in->id == X86_INS_JRCXZ;
    const cs_x86 *x86 = &in->detail->x86;
    if (!branch || x86->op_count != 1 || x86->operands[0].type != X86_OP_IMM)
        return false;
    *target = (uint64_t)x86->operands[0].imm;
    return true;
}

// One host instruction: branches to other units by the guest's names, with the prime of the paper's slides.
static void host_text(const struct view *v, const struct view_unit *unit, const cs_insn *in,
                      char text[static TEXT_SIZE])
{
    char name[NAME_SIZE];
    uint64_t target, start = (uint64_t)(uintptr_t)unit->host;
    const struct view_insn *last = &unit->insn[unit->insn_count - 1];
    uint64_t end = (uint64_t)(uintptr_t)(last->host + last->host_length);
    if (!branch_target(v, in, &target)) {
        snprintf(text, TEXT_SIZE, "%s%s%s", in->mnemonic, in->op_str[0] ? " " : "", in->op_str);
        return;
    }
    const struct view_unit *to = unit_at(v, target);
    if (to)
        snprintf(text, TEXT_SIZE, "%s %s'", in->mnemonic, name_of(v, to->rip, name));
    else if (target >= start && target < end)
        snprintf(text, TEXT_SIZE, "%s +0x%llx", in->mnemonic, (unsigned long long)(target - start));
    else
        snprintf(text, TEXT_SIZE, "%s [stub]", in->mnemonic);
}

static void guest_text(const struct view *v, const struct view_insn *insn, char text[static TEXT_SIZE])
{
    cs_insn *in;
    char name[NAME_SIZE];
    uint64_t target;
    text[0] = '\0';
    if (!insn->length)
        return;
    if (cs_disasm(v->capstone, insn->bytes, insn->length, insn->rip, 1, &in) != 1) {
        snprintf(text, TEXT_SIZE, "(no instruction)");
        return;
    }
    if (branch_target(v, in, &target))
        snprintf(text, TEXT_SIZE, "%s %s", in->mnemonic, name_of(v, target, name));
    else
        snprintf(text, TEXT_SIZE, "%s%s%s", in->mnemonic, in->op_str[0] ? " " : "", in->op_str);
    cs_free(in, 1);
}

// ---- Side by side ----

static void print_line(const char *at, const char *guest, const char *host, const char *kind)
{
    printf("  %-6s %-38s | %-52s %s%s\n", at, guest, host, kind[0] ? "; " : "", kind);
}

static void print_insn(const struct view *v, const struct view_unit *unit, const struct view_insn *insn)
{
    char guest[TEXT_SIZE], host[TEXT_SIZE], at[24] = "";
    cs_insn *in = NULL;
    size_t count = insn->host_length
                       ? cs_disasm(v->capstone, insn->host, insn->host_length, (uint64_t)(uintptr_t)insn->host, 0, &in)
                       : 0;
    guest_text(v, insn, guest);
    if (insn->length)
        snprintf(at, sizeof at, "+0x%llx", (unsigned long long)(insn->rip - unit->rip));
    if (!count)
        print_line(at, guest, "", insn->kind);
    for (size_t i = 0; i < count; i++) {
        host_text(v, unit, &in[i], host);
        print_line(i ? "" : at, i ? "" : guest, host, i ? "" : insn->kind);
    }
    if (count)
        cs_free(in, count);
}

static void print_unit(const struct view *v, const struct view_unit *unit)
{
    char name[NAME_SIZE];
    unsigned insns = 0, bytes = 0, host_bytes = 0;
    for (unsigned i = 0; i < unit->insn_count; i++) {
        insns += unit->insn[i].length != 0;
        bytes += unit->insn[i].length;
        host_bytes += unit->insn[i].host_length;
    }
    printf("%s: TU of %u instruction%s, %u bytes; CCF of %u bytes at %p\n", name_of(v, unit->rip, name), insns,
           insns == 1 ? "" : "s", bytes, host_bytes, (const void *)unit->host);
    for (unsigned i = 0; i < unit->insn_count; i++)
        print_insn(v, unit, &unit->insn[i]);
    putchar('\n');
}

static void print_text(const struct view *v)
{
    printf("  at     %-38s | %-52s ; kind\n\n", "guest code: translation unit", "compiled code fragment");
    for (size_t i = 0; i < v->count; i++)
        print_unit(v, &v->unit[i]);
}

// ---- As a graph ----

static void print_edge(const struct view *v, const struct view_unit *from, const struct view_link *link)
{
    char name[NAME_SIZE];
    const struct view_unit *to = unit_at(v, (uint64_t)(uintptr_t)link->host);
    if (to)
        printf("    \"%p\" -> \"%p\"%s;\n", (const void *)from->host, (const void *)to->host,
               link->elided ? " [style=bold, label=\"elided\"]" : "");
    else
        printf("    \"%p\" -> translator [style=dashed, label=\"%s\"];\n", (const void *)from->host,
               name_of(v, link->rip, name));
}

static void print_dot(const struct view *v)
{
    char name[NAME_SIZE], text[TEXT_SIZE];
    printf("digraph ccfs {\n    node [shape=box, fontname=monospace];\n    translator [shape=ellipse];\n");
    for (size_t i = 0; i < v->count; i++) {
        const struct view_unit *unit = &v->unit[i];
        printf("    \"%p\" [label=\"%s'\\l", (const void *)unit->host, name_of(v, unit->rip, name));
        for (unsigned k = 0; k < unit->insn_count; k++) {
            guest_text(v, &unit->insn[k], text);
            if (text[0])
                printf("  %s  (%s)\\l", text, unit->insn[k].kind);
        }
        printf("\"];\n");
    }
    for (size_t i = 0; i < v->count; i++)
        for (unsigned k = 0; k < v->unit[i].link_count; k++)
            print_edge(v, &v->unit[i], &v->unit[i].link[k]);
    printf("}\n");
}

// ---- The command ----

// A number, or else a symbol.
static int address_of(const struct view *v, const char *what, uint64_t *address, char *err, size_t err_size)
{
    char *end;
    if (what[0] < '0' || what[0] > '9')
        return symbol_find(v->image, v->image_size, what, address, err, err_size);
    errno = 0;
    *address = strtoull(what, &end, 0);
    if (!*end && !errno)
        return 0;
    snprintf(err, err_size, "bad address '%.40s'", what);
    return -1;
}

static enum exit_status view_loaded(struct view *v, struct machine *m, const struct options *o, char *err,
                                    size_t err_size)
{
    struct vcpu *vcpu = machine_vcpu(m);
    uint64_t address;
    if (machine_load(m, v->image, v->image_size, err, err_size))
        return STATUS_BAD_IMAGE;
    if (address_of(v, o->names[1], &address, err, err_size))
        return STATUS_USAGE;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &v->capstone) != CS_ERR_OK) {
        snprintf(err, err_size, "cannot open Capstone");
        return STATUS_UNAVAILABLE;
    }
    cs_option(v->capstone, CS_OPT_DETAIL, CS_OPT_ON);
    enum exit_status status = STATUS_OK;
    if (vcpu->engine->view(vcpu, address, UNITS_MAX, keep, v)) {
        snprintf(err, err_size, "%.200s", vcpu->error);
        status = STATUS_BAD_IMAGE;
    } else {
        (o->dot ? print_dot : print_text)(v);
    }
    cs_close(&v->capstone);
    free(v->unit);
    return status;
}

static enum exit_status view_file(const struct variant *variant, const char *path, const struct options *o, char *err,
                                  size_t err_size)
{
    struct engine_info info = {0};
    const struct machine_config config = {.ram_bytes = RAM_BYTES, .settings = variant_settings(variant->name)};
    struct view view = {0};
    uint8_t *image;
    variant->engine->probe(&info);
    if (!info.available) {
        snprintf(err, err_size, "engine %s cannot run here: %s", variant->engine->name, info.reason);
        return STATUS_UNAVAILABLE;
    }
    if (file_read(path, &image, &view.image_size, err, err_size))
        return STATUS_BAD_IMAGE;
    view.image = image;
    struct machine *m = machine_create(&config, variant->engine, err, err_size);
    enum exit_status status = m ? view_loaded(&view, m, o, err, err_size) : STATUS_UNAVAILABLE;
    machine_destroy(m);
    free(image);
    return status;
}

enum exit_status command_translate(const struct options *o, char *err, size_t err_size)
{
    struct image_list images;
    struct variant variant;
    if (variant_parse(&variant, engine_bt.name, o, err, err_size) || variant_takes_all(&variant, o, err, err_size))
        return STATUS_USAGE;
    char none[1];
    images_find(&images, none, sizeof none); // without images there are still paths
    const char *path = images_path(&images, o->names[0], err, err_size);
    enum exit_status status = path ? view_file(&variant, path, o, err, err_size) : STATUS_BAD_IMAGE;
    images_free(&images);
    return status;
}
