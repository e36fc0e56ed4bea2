// SPDX-License-Identifier: BSD-2-Clause
// gdb's remote protocol without a connection: frames, registers by the target description's numbers, and a fixed-seed
// run of random packets, with page tables at random behind them: nothing that a client sends does any harm.
#include <stdlib.h>

#include "machine/ram.h"
#include "run/gdb_packet.h"
#include "run/gdb_registers.h"
#include "run/gdb_session.h"
#include "tests/unit/check.h"
#include "x86/regs.h"

#define RAM_BYTES (8ull << 20)
#define RANDOM_PACKETS 200000

static struct guest_ram ram;
static struct vcpu_state state;
static struct vcpu vcpu;
static struct gdb_session session;
static struct gdb_parser parser;
static struct gdb_text reply;
static uint64_t seed = 1;
static unsigned sets, breakpoint_sets;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

// ---- An engine that only keeps a state ----

static int get_state(struct vcpu *v, struct vcpu_state *s)
{
    (void)v;
    *s = state;
    return 0;
}

// What a debugger can set is what engines may rely on.
static int set_state(struct vcpu *v, const struct vcpu_state *s)
{
    (void)v;
    uint32_t mxcsr;
    memcpy(&mxcsr, s->xsave + 24, sizeof mxcsr);
    const uint64_t addresses[] = {s->rip, s->seg[SEG_FS].base, s->seg[SEG_GS].base, s->kernel_gs_base};
    for (unsigned i = 0; i < sizeof addresses / sizeof *addresses; i++)
        CHECK_SAY((int64_t)(addresses[i] << 16) >> 16 == (int64_t)addresses[i], "an address that is set is canonical");
    CHECK_SAY(s->cr0 == state.cr0 && s->cr3 == state.cr3 && s->cr4 == state.cr4 && s->efer == state.efer,
              "control registers stay");
    CHECK_SAY((s->rflags & FLAG_FIXED1) && !((s->rflags ^ state.rflags) & (FLAG_VM | FLAG_RF)),
              "rflags stays possible");
    CHECK_SAY(!(mxcsr & 0xffff0000), "MXCSR's reserved bits stay 0");
    state = *s;
    sets++;
    return 0;
}

static int set_breakpoints(struct vcpu *v, const struct breakpoints *b)
{
    CHECK_SAY(b->count <= v->engine->breakpoints_max, "no more breakpoints than the engine has");
    breakpoint_sets++;
    return 0;
}

static void counters(struct vcpu *v, struct counters *out)
{
    *out = v->counters;
}

static const struct engine engine = {.name = "kept",
                                     .get_state = get_state,
                                     .set_state = set_state,
                                     .breakpoints_max = 4,
                                     .set_breakpoints = set_breakpoints,
                                     .counters = counters};

static void set_up(void)
{
    memset(&state, 0, sizeof state);
    state.cr0 = CR0_PG | CR0_PE;
    state.efer = EFER_LMA | EFER_LME;
    state.rflags = FLAG_FIXED1;
    state.cr3 = 0x1000;
    memset(ram.base, 0, 0x10000);
    const uint64_t entries[][2] = {{0x1000, 0x2000},
                                   {0x2000, 0x3000},
                                   {0x3000, PTE_PS},
                                   {0x3008, 0x200000 | PTE_PS},
                                   {0x3ff8, 0xfee00000 | PTE_PS}}; // 0 to 4 MiB, and devices at 1 GiB - 2 MiB
    for (unsigned i = 0; i < sizeof entries / sizeof *entries; i++) {
        uint64_t entry = entries[i][1] | PTE_P | PTE_W;
        memcpy(ram.base + entries[i][0], &entry, sizeof entry);
    }
    vcpu = (struct vcpu){.engine = &engine, .ram = &ram};
    gdb_session_end(&session);
    CHECK_EQ(gdb_session_begin(&session, &vcpu), 0);
}

static const char *ask(const char *packet, size_t length)
{
    bool replies = gdb_session_handle(&session, packet, length, &reply);
    size_t end = reply.length < sizeof reply.bytes ? reply.length : sizeof reply.bytes - 1;
    reply.bytes[end] = '\0';
    return replies ? reply.bytes : "(none)";
}
#define ASK(packet) ask(packet, sizeof packet - 1)

// ---- Frames ----

static enum gdb_input parse(const char *bytes, size_t length)
{
    enum gdb_input came = GDB_NOTHING;
    for (size_t i = 0; i < length; i++)
        came = gdb_parse(&parser, (uint8_t)bytes[i]);
    return came;
}

static void frames(void)
{
    CHECK_EQ(parse("$g#67", 5), GDB_PACKET);
    CHECK_STR(parser.packet, "g");
    CHECK_EQ(parse("$g#68", 5), GDB_BAD);
    CHECK_EQ(parse("$g#6", 4), GDB_NOTHING);
    CHECK_EQ(parse("7", 1), GDB_PACKET);
    CHECK_EQ(parse("$g#", 3), GDB_NOTHING);
    CHECK_EQ(parse("x7", 2), GDB_BAD); // no digit
    CHECK_EQ(parse("noise", 5), GDB_NOTHING);
    CHECK_EQ(parse("\x03", 1), GDB_INTERRUPT);
    CHECK_EQ(parse("+", 1), GDB_ACK);
    CHECK_EQ(parse("-", 1), GDB_NAK);
    CHECK_EQ(parse("$lost$g#67", 10), GDB_PACKET);
    CHECK_STR(parser.packet, "g");
    CHECK_EQ(parse("$X}\x03}]\x03#b5", 10), GDB_PACKET); // # and }, and a byte 3 within
    CHECK(parser.length == 4 && !memcmp(parser.packet, "X#}\x03", 4));
    CHECK_EQ(parse("$a}#de", 6), GDB_BAD); // the escaped byte is the end

    char *huge = calloc(1, GDB_PACKET_MAX + 16);
    if (!CHECK(huge != NULL))
        return;
    memset(huge, 'a', GDB_PACKET_MAX + 8);
    parse("$", 1);
    parse(huge, GDB_PACKET_MAX);
    unsigned sum = (GDB_PACKET_MAX * 'a') % 256;
    char end[8];
    snprintf(end, sizeof end, "#%02x", sum);
    CHECK_EQ(parse(end, 3), GDB_PACKET);
    CHECK_EQ(parser.length, GDB_PACKET_MAX);
    parse("$", 1);
    parse(huge, GDB_PACKET_MAX + 1);
    snprintf(end, sizeof end, "#%02x", (sum + 'a') % 256);
    CHECK_EQ(parse(end, 3), GDB_BAD);
    free(huge);
}

// What is framed is parsed to the same, whatever bytes it has.
static void round_trips(void)
{
    static char frame[GDB_FRAME_MAX];
    for (unsigned n = 0; n < 200; n++) {
        size_t length = n < 199 ? next_random() % 600 : GDB_PACKET_MAX;
        reply.length = 0;
        reply.full = false;
        for (size_t i = 0; i < length; i++) {
            uint8_t byte = n % 2 ? (uint8_t)next_random() : (uint8_t) "$#}*"[next_random() % 4];
            gdb_put(&reply, &byte, 1);
        }
        size_t size = gdb_frame(&reply, frame);
        CHECK(size <= sizeof frame);
        CHECK_EQ(parse(frame, size), GDB_PACKET);
        CHECK(parser.length == length && !memcmp(parser.packet, reply.bytes, length));
    }
    gdb_put(&reply, "x", 1);
    CHECK(reply.full && reply.length == GDB_PACKET_MAX);
}

// ---- Registers and memory ----

static void registers(void)
{
    set_up();
    state.gpr[RBX] = 0x1122334455667788;
    state.rip = 0x1234;
    state.seg[SEG_CS].selector = 8;
    CHECK_STR(ASK("p1"), "8877665544332211");
    CHECK_STR(ASK("p10"), "3412000000000000");
    CHECK_STR(ASK("p11"), "02000000");
    CHECK_STR(ASK("p12"), "08000000");
    CHECK_STR(ASK("P1=0100000000000000"), "OK");
    CHECK_STR(ASK("P10=0000000000000080"), "E16"); // not canonical
    CHECK_STR(ASK("P12=10000000"), "E16");         // a selector without its descriptor
    CHECK_STR(ASK("P12=08000000"), "OK");          // but it is this one already
    CHECK_STR(ASK("P11=ffffffff"), "OK");
    CHECK_EQ(sets, 0);
    CHECK_EQ(gdb_session_resume(&session), 0);
    CHECK_EQ(sets, 1);
    CHECK_EQ(state.gpr[RBX], 1);
    CHECK_EQ(state.rflags, 0x247fd7); // without RF, VM, VIF, VIP
    state.rflags = FLAG_FIXED1;

    // x87 in its initial state until something is written; tags are two bits a register for gdb.
    gdb_session_stopped(&session, GDB_SIGNAL_TRAP, false);
    CHECK_STR(ASK("p20"), "7f030000");                // fctrl
    CHECK_STR(ASK("p22"), "ffff0000");                // ftag: all empty
    CHECK_STR(ASK("p38"), "801f0000");                // mxcsr
    CHECK_STR(ASK("P22=fcff0000"), "OK");             // register 0 is not
    CHECK_STR(ASK("P18=000000000000008000c0"), "OK"); // st0 = -2
    CHECK_STR(ASK("p22"), "fcff0000");
    CHECK_STR(ASK("P18=00000000000000000000"), "OK");
    CHECK_STR(ASK("p22"), "fdff0000"); // zero
    CHECK_STR(ASK("P38=00000100"), "E16");
    CHECK_STR(ASK("P2a=00112233445566778899aabbccddeeff"), "OK"); // xmm2
    CHECK_STR(ASK("p2a"), "00112233445566778899aabbccddeeff");
    CHECK_EQ(gdb_session_resume(&session), 0);
    CHECK_EQ(state.xsave[512], 3); // x87 and SSE are in use now
    CHECK_EQ(state.xsave[4], 1);
    CHECK_EQ(state.xsave[160 + 32 + 1], 0x11);

    // All at once, there and back.
    static char all[GDB_PACKET_MAX];
    gdb_session_stopped(&session, GDB_SIGNAL_TRAP, false);
    size_t length = strlen(ASK("g"));
    memcpy(all + 1, reply.bytes, length);
    all[0] = 'G';
    struct vcpu_state before = state;
    CHECK_STR(ask(all, length + 1), "OK");
    CHECK_EQ(gdb_session_resume(&session), 0);
    CHECK(!memcmp(&before, &state, sizeof state));
    CHECK_STR(ask(all, length), "E16"); // half a digit short
}

static void memory(void)
{
    set_up();
    sets = 0;
    CHECK_STR(ASK("M1ffffe,4:a1b2c3d4"), "OK"); // across two pages
    CHECK_STR(ASK("m1ffffe,4"), "a1b2c3d4");
    CHECK_STR(ASK("X200000,2:\x01\x02"), "OK");
    CHECK_STR(ASK("m1ffffe,4"), "a1b20102");
    CHECK_STR(ASK("m3ffffe,8"), "0000"); // as much as there is
    CHECK_STR(ASK("m400000,8"), "E0e");
    CHECK_STR(ASK("m3fe00000,4"), "E0e"); // devices
    CHECK_STR(ASK("M3fe00000,1:00"), "E0e");
    CHECK_STR(ASK("m8000000000000,4"), "E0e"); // not canonical
    CHECK_STR(ASK("M3ffffe,4:00000000"), "E0e");
    CHECK_STR(ASK("X0,0:"), "OK");
    CHECK_STR(ASK("m0,4001"), "E16");
    CHECK_STR(ASK("m0,ffffffffffffffff"), "E16");
    CHECK_STR(ASK("M0,4:00"), "E16");
    CHECK_EQ(gdb_session_resume(&session), 0);
    CHECK_EQ(sets, 1); // the engine looks at its memory anew
    state.cr0 &= ~(uint64_t)CR0_PG;
    gdb_session_stopped(&session, GDB_SIGNAL_TRAP, false);
    CHECK_STR(ASK("m1ffffe,4"), "a1b20102"); // physical addresses
}

static void going_on(void)
{
    set_up();
    CHECK_STR(ASK("?"), "T05thread:1;");
    CHECK_STR(ASK("Z0,1000,1"), "OK");
    CHECK_STR(ASK("Z0,1000,1"), "OK"); // twice is once
    CHECK_STR(ASK("Z1,1001,1"), "OK");
    CHECK_STR(ASK("Z0,1002,1"), "OK");
    CHECK_STR(ASK("Z0,1003,1"), "OK");
    CHECK_STR(ASK("Z0,1004,1"), "E1c");
    CHECK_STR(ASK("z0,1001,1"), "OK");
    CHECK_STR(ASK("z0,9999,1"), "OK");
    CHECK_STR(ASK("Z2,1000,1"), "");
    CHECK_STR(ASK("c"), "(none)");
    CHECK_EQ(session.wish, GDB_GO);
    CHECK_EQ(gdb_session_resume(&session), 0);
    CHECK_EQ(breakpoint_sets, 1);
    CHECK_EQ(session.breakpoints.count, 3);
    CHECK_EQ(gdb_session_resume(&session), 0);
    CHECK_EQ(breakpoint_sets, 1); // nothing has changed
    CHECK(strstr(ASK("qSupported:multiprocess+;swbreak+"), "swbreak+") != NULL);
    gdb_session_stopped(&session, GDB_SIGNAL_TRAP, true);
    CHECK_STR(ASK("?"), "T05thread:1;swbreak:;");
    CHECK_STR(ASK("vCont;s:1;c"), "(none)");
    CHECK_EQ(session.wish, GDB_STEP);
    session.wish = GDB_STAY;
    CHECK_STR(ASK("S05;2000"), "(none)");
    CHECK_EQ(session.state.rip, 0x2000);
    session.wish = GDB_STAY;
    CHECK_STR(ASK("vCont"), "E16");
    CHECK_STR(ASK("vContX"), "E16");
    CHECK_EQ(session.wish, GDB_STAY);
    CHECK_STR(ASK("D"), "OK");
    CHECK_EQ(session.wish, GDB_LEAVE);
    CHECK_EQ(gdb_session_resume(&session), 0);
    CHECK_EQ(breakpoint_sets, 2);
    CHECK_EQ(session.breakpoints.count, 0);
}

static void description(void)
{
    char *text = gdb_target_description();
    static char packet[64];
    set_up();
    if (!CHECK(text != NULL))
        return;
    size_t size = strlen(text), done = 0;
    bool last = false;
    while (!last && done < size) { // in pieces as a client asks for it
        int n = snprintf(packet, sizeof packet, "qXfer:features:read:target.xml:%zx,333", done);
        const char *piece = ask(packet, (size_t)n);
        last = piece[0] == 'l';
        if (!CHECK((last || piece[0] == 'm') && !strncmp(piece + 1, text + done, strlen(piece + 1))))
            break;
        done += strlen(piece + 1);
    }
    CHECK(last && done == size);
    CHECK(strstr(text, "<reg name=\"rip\" bitsize=\"64\" type=\"code_ptr\" regnum=\"16\"/>") != NULL);
    CHECK(strstr(text, "<reg name=\"mxcsr\" bitsize=\"32\" type=\"int\" regnum=\"56\"/>") != NULL);
    free(text);
}

// ---- At random ----

static size_t random_packet(char *packet)
{
    static const char *const beginnings[] = {"?",
                                             "g",
                                             "G",
                                             "p",
                                             "P",
                                             "m",
                                             "M",
                                             "X",
                                             "c",
                                             "s",
                                             "C",
                                             "S",
                                             "vCont",
                                             "vCont;",
                                             "vCont;c",
                                             "Z0,",
                                             "Z1,",
                                             "z0,",
                                             "D",
                                             "H",
                                             "T",
                                             "qC",
                                             "qRcmd,",
                                             "qSupported",
                                             "qfThreadInfo",
                                             "qAttached",
                                             "vKill",
                                             "qRcmd,77616c6b20",
                                             "qRcmd,68656c70",
                                             "qRcmd,73797374656d",
                                             "qRcmd,636f756e74657273",
                                             "qXfer:features:read:target.xml:",
                                             "qThreadExtraInfo,",
                                             "QStartNoAckMode",
                                             "P1=",
                                             "P10=",
                                             "m0,",
                                             "M1000,8:"};
    static const char alphabet[] = "0123456789abcdefABCDEF,;:=#$}*+- \x03\xff\x80";
    const char *begin = beginnings[next_random() % (sizeof beginnings / sizeof *beginnings)];
    size_t length = strlen(begin), more = next_random() % (next_random() % 50 ? 40 : 2000);
    memcpy(packet, begin, length);
    for (size_t i = 0; i < more; i++)
        packet[length++] =
            next_random() % 8 ? alphabet[next_random() % 22] : alphabet[next_random() % (sizeof alphabet - 1)];
    return length;
}

static void at_random(void)
{
    static char packet[4096];
    unsigned errors = 0, fine = 0, none = 0;
    set_up();
    for (unsigned n = 0; n < RANDOM_PACKETS; n++) {
        if (n % 1000 == 0) { // tables that a hostile guest has made
            for (unsigned i = 0; i < 0x3000; i += 8) {
                uint64_t entry = next_random() % 4 ? next_random() & 0x7fff67 : next_random();
                memcpy(ram.base + 0x1000 + i, &entry, sizeof entry);
            }
            state.cr3 = next_random() % 4 ? 0x1000 : next_random();
            gdb_session_stopped(&session, GDB_SIGNAL_TRAP, true);
        }
        size_t length = random_packet(packet);
        for (size_t i = 0; i < length; i++)
            gdb_parse(&parser, (uint8_t)packet[i]); // whatever becomes of it
        const char *answer = ask(packet, length);
        errors += answer[0] == 'E';
        none += answer[0] == '(';
        fine += answer[0] == 'O';
        if (session.wish != GDB_STAY && gdb_session_resume(&session) == 0)
            gdb_session_stopped(&session, GDB_SIGNAL_TRAP, next_random() % 2);
        if (!CHECK(reply.length <= GDB_PACKET_MAX && session.breakpoints.count <= engine.breakpoints_max))
            break;
    }
    CHECK(errors > RANDOM_PACKETS / 20 && fine > RANDOM_PACKETS / 20 && none > RANDOM_PACKETS / 100);
}

int main(void)
{
    char err[128];
    if (!CHECK(ram_create(&ram, RAM_BYTES, err, sizeof err) == 0))
        return check_done("gdb");
    frames();
    round_trips();
    registers();
    memory();
    going_on();
    description();
    at_random();
    gdb_session_end(&session);
    ram_destroy(&ram);
    return check_done("gdb");
}
