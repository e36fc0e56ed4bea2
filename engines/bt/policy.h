// SPDX-License-Identifier: BSD-2-Clause
// Should an address space's user code run directly, in a process, or translated? --bt-user=auto decides by what it has
// measured. Directly, code runs as fast as the CPU, but each way into the guest's kernel is a hand-over between two
// host processes, and each page touched for the first time a signal and an mmap. Translated, every memory access pays.
//
// Each stretch of user code says how much would have been, or was, gained by running it directly, in cycles; the sum of
// that is kept from falling too low while translated, and from rising too high while direct, so that only what comes
// now counts (Page's cumulative-sum test, 1954). The way there and back costs hysteresis: a sum has to grow that pays
// for the faults by which a process gets its pages.
#ifndef RINGSIDE_BT_POLICY_H
#define RINGSIDE_BT_POLICY_H

#include <stdbool.h>
#include <stdint.h>

// TSC cycles on a Zen 4 server: a hand-over from directly executed code to the monitor and back (3,200 of them are the
// host's delivery of a signal); and a hidden fault there, which is a signal, two hand-overs and an mmap. The former is
// only where a measurement begins: on a busy host it can be a thousand times as much.
#define POLICY_HAND_OVER 6000
#define POLICY_FAULT 15000
// Of a hand-over, the delivery of a signal at most.
#define POLICY_DELIVERY 4000
// Of 16 cycles in translated user code, so many would not be spent by the same code running directly: it takes about
// twice as long (memory accesses by the software TLB; less for arithmetic alone, more for calls and returns).
#define POLICY_GAIN_OF_16 8
#define POLICY_ENTER 400000   // gain that has to be in sight: some 25 hidden faults, to fetch a small program's pages
#define POLICY_LEAVE 200000   // loss that has to have been suffered
#define POLICY_CREDIT 1000000 // gain that is remembered, for a few system calls in a row
// One stretch says at most half of that: the host may have run something else meanwhile.
#define POLICY_MOST_GAIN (POLICY_ENTER / 2)
#define POLICY_MOST_LOSS (POLICY_LEAVE / 2)
// Where nothing speaks for direct execution, so many stretches at most go by until one is measured again: a look at the
// time, twice, would be a third of a system call.
#define POLICY_PAUSE 32
#define POLICY_BAN 20000 // stretches, where a program does what cannot be done directly all the time

struct policy { // all 0: a new address space, translated
    bool direct;
    uint32_t banned; // stretches to go until direct execution is considered again
    uint32_t pause;  // stretches to go until one is measured again
    uint32_t
        dice; // of how long that is: a program that does the same all over must not be met at one and the same place
    int64_t gain;
};

// Translated user code ran for so many cycles. hand_overs: 1 where it then entered the guest's kernel by itself, 0
// where it is to be run on; each is expected to cost hand_over. faults: true page faults, after each of which a process
// would have had a hidden one.
void policy_translated(struct policy *p, uint64_t cycles, unsigned hand_overs, uint64_t hand_over, unsigned faults);
// Translated user code begins: is it to be measured? Else what it does does not count.
bool policy_measures(struct policy *p);
// User code ran directly for so many cycles of its own, and so many were spent on getting there and back.
void policy_direct(struct policy *p, uint64_t cycles, uint64_t spent);
// A stretch is over. It counts against a ban.
void policy_stretch_ends(struct policy *p);
// It cannot be run directly.
void policy_ban(struct policy *p);

// What a hand-over costs on this host now: a sliding mean, given what the last one cost.
uint64_t policy_hand_over(uint64_t mean, uint64_t cycles);

#endif
