// SPDX-License-Identifier: BSD-2-Clause
// x87 control: control and status words, environment and whole state to and from memory, initialisation, wait (SDM
// vol. 1, 8.1.10 and 8.3.11). Those that begin with fn look at no pending exception. What CR0.NE = 0 asks for instead
// of #MF, an external interrupt by way of FERR# (SDM vol. 1, D.2), is not modelled: #MF comes whatever NE says.
#include <string.h>

#include "engines/interp/insn_args.h"
#include "engines/interp/x87.h"

// #NM alone, for instructions that do not wait.
static void available(struct cpu *c, const struct op *op)
{
    if (UNLIKELY(c->cr0 & (CR0_EM | CR0_TS)))
        raise_exception(c, op, VEC_NM);
}

// ---- Control and status word ----

static HANDLER(op_fldcw)
{
    x87_ready(c, op);
    c->x87.cw = load16(c, op, ea(c, op));
    x87_loaded(&c->x87);
    NEXT;
}

static HANDLER(op_fnstcw)
{
    available(c, op);
    store16(c, op, ea(c, op), c->x87.cw);
    NEXT;
}

static HANDLER(op_fnstsw)
{
    available(c, op);
    store16(c, op, ea(c, op), x87_status(&c->x87));
    NEXT;
}

static HANDLER(op_fnstsw_ax)
{
    available(c, op);
    set16(c, RAX, x87_status(&c->x87));
    NEXT;
}

static HANDLER(op_fnclex)
{
    available(c, op);
    c->x87.sw &= X87_CONDITIONS;
    x87_loaded(&c->x87);
    NEXT;
}

static HANDLER(op_fninit)
{
    available(c, op);
    x87_init(&c->x87);
    NEXT;
}

// feni, fdisi and fsetpm meant something to an 8087 and a 287.
static HANDLER(op_nothing)
{
    available(c, op);
    NEXT;
}

static HANDLER(op_wait)
{
    if (UNLIKELY((c->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)))
        raise_exception(c, op, VEC_NM);
    if (UNLIKELY(c->x87.sw & X87_ES))
        raise_exception(c, op, VEC_MF);
    NEXT;
}

// ---- Environment and state ----

// The layouts of SDM vol. 1, figures 8-9 (32-bit operand size, and 64) and 8-11 (16-bit): seven fields, which are
// doublewords with ones in what is reserved, or words.
enum { ENV_CW, ENV_SW, ENV_TAGS, ENV_FIP, ENV_FCS_FOP, ENV_FDP, ENV_FDS, ENV_FIELDS };
enum { ENV_BYTES = 28, ENV_BYTES_16 = 14, REGISTER_BYTES = 10, STATE_BYTES = ENV_BYTES + 8 * REGISTER_BYTES };

enum { TAG_VALID, TAG_ZERO, TAG_SPECIAL, TAG_EMPTY };

static unsigned tag(const struct x87 *f, unsigned i)
{
    const struct x87_register *r = &f->r[i];
    unsigned exponent = r->exponent & 0x7fff;
    if (!(f->occupied >> i & 1))
        return TAG_EMPTY;
    if (exponent == 0 && r->mantissa == 0)
        return TAG_ZERO;
    return exponent == 0 || exponent == 0x7fff || !(r->mantissa >> 63) ? TAG_SPECIAL : TAG_VALID;
}

static void put_environment(const struct x87 *f, uint8_t *to, bool words)
{
    uint32_t field[ENV_FIELDS] = {
        [ENV_CW] = 0xffff0000 | f->cw,
        [ENV_SW] = 0xffff0000 | x87_status(f),
        [ENV_TAGS] = 0xffff0000,
        [ENV_FIP] = (uint32_t)f->fip,
        [ENV_FCS_FOP] = words ? 0 : (uint32_t)f->fop << 16,
        [ENV_FDP] = (uint32_t)f->fdp,
        [ENV_FDS] = 0xffff0000,
    };
    for (unsigned i = 0; i < 8; i++)
        field[ENV_TAGS] |= tag(f, i) << (2 * i);
    for (unsigned i = 0; i < ENV_FIELDS; i++)
        memcpy(to + (words ? 2 * i : 4 * i), &field[i], words ? 2 : 4);
}

static void get_environment(struct x87 *f, const uint8_t *from, bool words)
{
    uint32_t field[ENV_FIELDS] = {0};
    for (unsigned i = 0; i < ENV_FIELDS; i++)
        memcpy(&field[i], from + (words ? 2 * i : 4 * i), words ? 2 : 4);
    f->cw = (uint16_t)field[ENV_CW];
    x87_set_status(f, (uint16_t)field[ENV_SW]);
    f->occupied = 0;
    for (unsigned i = 0; i < 8; i++)
        f->occupied |= (uint8_t)((field[ENV_TAGS] >> (2 * i) & 3) != TAG_EMPTY) << i;
    f->fip = field[ENV_FIP];
    f->fop = words ? 0 : field[ENV_FCS_FOP] >> 16 & 0x7ff;
    f->fdp = field[ENV_FDP];
    x87_loaded(f);
}

// Where the operand is (SDM vol. 3, table 6-7, for its alignment).
static uint64_t area(struct cpu *c, const struct op *op)
{
    uint64_t va = ea(c, op);
    mem_check_area(c, op, va, op->dst ? 2 : 4);
    return va;
}

// aux: bytes of the operand; dst: the 16-bit form. Functions apart, as a handler with arrays of its own could not end
// in a tail call.
static COLD void fnstenv(struct cpu *c, const struct op *op)
{
    uint8_t image[ENV_BYTES];
    available(c, op);
    put_environment(&c->x87, image, op->dst);
    mem_write_bytes(c, op, area(c, op), image, op->aux, 1);
    c->x87.cw |= X87_EXCEPTIONS; // and with all exceptions masked none is pending
    x87_loaded(&c->x87);
}

static COLD void fldenv(struct cpu *c, const struct op *op)
{
    uint8_t image[ENV_BYTES];
    x87_ready(c, op);
    mem_read_bytes(c, op, area(c, op), image, op->aux, 1);
    get_environment(&c->x87, image, op->dst);
}

static COLD void fnsave(struct cpu *c, const struct op *op)
{
    uint8_t image[STATE_BYTES], *registers = image + (op->dst ? ENV_BYTES_16 : ENV_BYTES);
    available(c, op);
    put_environment(&c->x87, image, op->dst);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(registers + REGISTER_BYTES * i, &st(&c->x87, i)->mantissa, 8);
        memcpy(registers + REGISTER_BYTES * i + 8, &st(&c->x87, i)->exponent, 2);
    }
    mem_write_bytes(c, op, area(c, op), image, op->aux, 1);
    x87_init(&c->x87);
}

static COLD void frstor(struct cpu *c, const struct op *op)
{
    uint8_t image[STATE_BYTES], *registers = image + (op->dst ? ENV_BYTES_16 : ENV_BYTES);
    x87_ready(c, op);
    mem_read_bytes(c, op, area(c, op), image, op->aux, 1);
    get_environment(&c->x87, image, op->dst);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(&st(&c->x87, i)->mantissa, registers + REGISTER_BYTES * i, 8);
        memcpy(&st(&c->x87, i)->exponent, registers + REGISTER_BYTES * i + 8, 2);
    }
}

#define WITH_IMAGE(name)                                                                                               \
    static HANDLER(op_##name)                                                                                          \
    {                                                                                                                  \
        name(c, op);                                                                                                   \
        NEXT;                                                                                                          \
    }
WITH_IMAGE(fnstenv)
WITH_IMAGE(fldenv)
WITH_IMAGE(fnsave)
WITH_IMAGE(frstor)

bool lower_x87_control(struct lower *l, const struct insn *in, unsigned arg)
{
    static op_fn *const table[] = {
        [X87_FLDCW] = op_fldcw,   [X87_FNSTCW] = op_fnstcw,   [X87_FNSTSW] = op_fnstsw, [X87_FNCLEX] = op_fnclex,
        [X87_FNINIT] = op_fninit, [X87_NOTHING] = op_nothing, [X87_WAIT] = op_wait,     [X87_FNSTENV] = op_fnstenv,
        [X87_FLDENV] = op_fldenv, [X87_FNSAVE] = op_fnsave,   [X87_FRSTOR] = op_frstor,
    };
    struct op *op = x87_emit(l, in, arg == X87_FNSTSW && in->modrm >= 0xc0 ? op_fnstsw_ax : table[arg]);
    op->dst = op->aux == ENV_BYTES_16 || op->aux == ENV_BYTES_16 + 8 * REGISTER_BYTES;
    return true;
}
