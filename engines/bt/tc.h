// SPDX-License-Identifier: BSD-2-Clause
// The translation cache: compiled code fragments (CCFs), how they are found, chained, and dropped.
//
// The cache lies in two halves behind struct bt: hot code, CCF after CCF, and cold code, the stubs through which
// translated code leaves (each names a site) and the checks in front of indirect targets. It fills up and is then
// flushed as a whole. CCFs are found by guest-virtual address and world; the guest-physical page that each was made
// from is remembered, and looked at again whenever the guest flushes translations (tc_revalidate). User code whose
// address leads elsewhere then sleeps: it is there again as soon as its process is, with the chains within its page.
#ifndef RINGSIDE_BT_TC_H
#define RINGSIDE_BT_TC_H

#include "engines/bt/bt.h"
#include "engines/bt/code.h"

// ---- Leaving translated code ----
enum site_kind {
    SITE_NONE,
    SITE_BRANCH,  // a direct branch not chained yet: continue at rip
    SITE_MISS,    // bt->target is not in the target table: continue there
    SITE_LEAVE,   // to the run loop, at rip
    SITE_EMULATE, // the instruction at rip is emulated in C; goes on at `resume` where nothing speaks against it
    SITE_ACCESS,  // checked form: bt->access = host address for the memory operand; resume, or special
    SITE_COMMIT,  // checked form: what the instruction wrote to the bounce buffer goes to its address
    SITE_RAISE,   // the instruction at rip raises exception `vector`
    SITE_GUARD,   // the CCF that begins at rip needs vector registers that are not live
    SITE_REFUSED, // the instruction at rip needs some that might not be used when its CCF was made
};

struct site {
    uint8_t kind;       // enum site_kind
    uint8_t event;      // enum event: the kind of callout
    uint8_t vector;     // SITE_RAISE
    bool error;         // SITE_RAISE: with error code 0
    bool backward;      // SITE_BRANCH: not to a higher address, so that its target has to poll
    bool calls;         // SITE_BRANCH: a host call, with the guest's return address in bt->back
    bool writes, reads; // SITE_ACCESS
    bool stores;        // SITE_ACCESS: where the operand is not in plain RAM, the callout does all of the instruction
    bool guilty;        // SITE_EMULATE, SITE_ACCESS: made because the instruction is guilty
    uint8_t operand;    // SITE_ACCESS: which of insn.op[] is in memory
    uint8_t live;       // vector classes that are live here, and stay so where the guest goes on at `resume`
    uint64_t rip;
    uint8_t *resume;        // SITE_EMULATE, SITE_ACCESS (operand in plain RAM), SITE_COMMIT
    uint8_t *special;       // SITE_ACCESS: operand in the bounce buffer; or, with `stores`, behind the instruction
    uint8_t *field;         // SITE_BRANCH: the branch's rel32 field, to be patched
    uint8_t *stub;          // SITE_BRANCH: what the field leads to while it is not chained
    struct ccf *from;       // the CCF that the site belongs to
    uint32_t next_incoming; // SITE_BRANCH, chained: next site that leads to the same CCF; 0 ends the list
    struct ccf *to;         // SITE_BRANCH, chained
    emulate_fn *emulate;
    struct insn insn; // SITE_EMULATE, SITE_ACCESS, SITE_REFUSED
};

// ---- Compiled code fragments ----

// How the guest's registers differ from the host's at a host instruction of a CCF.
enum recover {
    RECOVER_NONE,    // not at all
    RECOVER_SLOT,    // slot[0] holds register `reg`
    RECOVER_TWO,     // slot[0] holds register reg % 16, slot[3] register reg / 16
    RECOVER_RETURN,  // slot[0] holds rcx; that the instruction writes is none of the guest's (translate_ret)
    RECOVER_TRAP,    // not at all; the instruction is hlt, and the number of its site follows
    RECOVER_LANDING, // not at all; the access is none of the guest's (translate_call)
    RECOVER_STRING,  // rsi and rdi are biased; slot[0] holds register `reg` where it is not RSP
};

// From this host offset on, up to the next point, the code belongs to guest instruction nth.
struct point {
    uint16_t host;   // offset from the CCF's start
    uint8_t guest;   // offset of the instruction from the TU's start; the TU's length for the jump behind the last one
    uint8_t recover; // enum recover
    uint8_t reg;
    uint16_t parked; // registers whose values are in bt->parked only, a bit each (park.h)
    uint8_t how;     // enum how: of the instruction that begins here
};

struct ccf {
    uint64_t rip;
    uint64_t gpa;         // of its first byte
    uint64_t second_page; // guest-physical page of its last bytes where the TU crosses into it, else NO_PAGE
    uint8_t world;        // enum world
    uint8_t insns;
    uint8_t points;
    bool polls;      // looks at bt->attention at its start
    bool dead;       // dropped: its start leads to the dispatcher
    bool alone;      // one instruction for the run loop's step(): in no list, never found again
    uint8_t needs;   // vector classes that are live from its start on (vectors.h)
    uint8_t refused; // others that it has instructions of, which might not be used when it was made
    uint16_t tu_bytes;
    uint32_t first_site, end_site; // the sites made with it
    uint8_t *start, *end;          // hot code
    uint32_t incoming;             // first of the chained sites that lead here; 0 for none
    struct ccf *hash_next;
    struct ccf *page_next[2];
    struct code_page *on[2]; // code_pages.h: the pages of guest-virtual memory it was made from; on[1] may be NULL
    uint8_t *called;         // in front of it for calls, which takes their return address; likewise
    uint8_t *guard;          // in front of it where what it needs may not be live, NULL while nobody has asked
    uint8_t *check;          // in front of it for indirect branches (tc_miss), likewise
    struct point point[];
};
#define NO_PAGE (~0ull)

// Sites are numbered from 1.
struct tc *tc_create(struct bt *bt); // NULL where memory is short
void tc_destroy(struct tc *tc);

// Host address to continue at bt->rip in bt->world: found or translated. Raises the breakpoint there, or what fetching
// it raises; so do tc_branch() and tc_miss().
uint8_t *tc_enter(struct bt *bt);
// The same for one instruction on its own, which then leaves to the run loop.
uint8_t *tc_enter_single(struct bt *bt);

// RAM at [offset, offset + size) within one page is about to be written by C code: drop what was made from it.
void tc_invalidate(struct bt *bt, uint64_t ram_offset, unsigned size);
bool tc_page_has_code(const struct tc *tc, uint64_t ram_offset);
// Nothing of this world leads any more to what no longer lies where it did, by the page tables that are loaded. all:
// global pages are looked at, too.
void tc_revalidate(struct bt *bt, enum world world, bool all);
void tc_invlpg(struct bt *bt, enum world world, uint64_t va);
// Code of the world by the tables that are loaded: are they those of cr3 `before`, by a look at the top level; have
// they nothing at most of its addresses? Both change nothing.
bool tc_shares_tables(const struct bt *bt, enum world world, uint64_t before);
bool tc_is_lost(const struct bt *bt, enum world world);
void tc_flush(struct bt *bt);

// ---- For the translator (translate.c) ----
struct code *tc_hot(struct tc *tc);
struct code *tc_cold(struct tc *tc);
// A new site, zeroed but for its kind and rip; NULL where there is no more room (the cache is flushed then).
struct site *tc_new_site(struct tc *tc, enum site_kind kind, uint64_t rip);
// Writes the stub that leaves through the site, into the cold half; gives its address.
uint8_t *tc_stub(struct tc *tc, struct site *site);
bool tc_is_guilty(struct tc *tc, uint64_t rip);
const uint8_t *tc_leave_stub(const struct tc *tc);                    // bt->site is set: leave
const uint8_t *tc_return_miss_stub(const struct tc *tc);              // put_return_miss
const uint8_t *tc_miss_stub(const struct tc *tc);                     // bt->target is set: leave for it
const uint8_t *tc_refill_stub(const struct tc *tc, enum world world); // put_stack_refill
unsigned tc_flushes(const struct tc *tc); // how often everything was dropped: sites do not outlive that
// Sets the target table's entry for guest address rip.
void tc_set_target(struct bt *bt, enum world world, uint64_t rip, const uint8_t *host);

// ---- Handling of a site that was left through, by run.c: host address to resume at, or NULL for the run loop.
uint8_t *tc_branch(struct bt *bt, struct site *site);
uint8_t *tc_miss(struct bt *bt);
uint8_t *tc_guarded(struct bt *bt, struct ccf *ccf);     // SITE_GUARD
void tc_refused(struct bt *bt, const struct site *site); // SITE_REFUSED: raises, or goes by another CCF now
struct site *tc_site(struct tc *tc, uint64_t number);
uint32_t tc_site_count(const struct tc *tc);               // one more than the last one's number
const struct ccf *tc_ccf(const struct tc *tc, uint32_t i); // in the order of their addresses; NULL behind the last
uint32_t tc_site_number(const struct tc *tc, const struct site *site);

// Indirect branches and returns come by tc_miss again, all of them; returns until tc_remember_returns().
void tc_forget_targets(struct bt *bt);
void tc_remember_returns(struct bt *bt);
// The landing behind the call that ends the CCF, whose return address is `back` (control.c).
void tc_set_return(struct bt *bt, const struct ccf *ccf, uint64_t back, const uint8_t *host);

bool tc_is_hot(const struct tc *tc, const uint8_t *host);
bool tc_contains(const struct tc *tc, const uint8_t *host); // cold code and stubs included
// The CCF and point that hold a host address, for faults; NULL where it is not hot code.
struct ccf *tc_ccf_at(struct tc *tc, const uint8_t *host, const struct point **point);
// An access by the instruction at rip cannot be made as it is (a device, a traced page, out of the bias's reach): from
// now on its checked form is used. The old one gets a forwarding jump.
void tc_guilty(struct bt *bt, struct ccf *ccf, const struct point *point, const char *reason);
// The checked form of a guilty instruction ran; did it meet anything that its IDENT form could not do? True: it is
// innocent again, and the translations that hold it have been dropped.
bool tc_tried(struct bt *bt, const struct site *site, bool special);
// Everybody is innocent again, but for code that has been made already.
void tc_forgive(struct tc *tc);

#endif
