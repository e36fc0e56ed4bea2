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

// TSC cycles on a Zen 4 server (docs/bt.md): a hand-over from directly executed code to the monitor and back, beyond
// what leaving translated code costs; and a hidden fault there, signal, two hand-overs and an mmap.
#define POLICY_HAND_OVER 4500
#define POLICY_FAULT 15000
// Of 16 cycles in translated user code, so many would not be spent by the same code running directly: it takes about
// twice as long (memory accesses by the software TLB; less for arithmetic alone, more for calls and returns).
#define POLICY_GAIN_OF_16 8
#define POLICY_ENTER 400000 // gain that has to be in sight: some 25 hidden faults, to fetch a small program's pages
#define POLICY_LEAVE 200000 // loss that has to have been suffered
// One stretch says at most this: the host may have run something else meanwhile.
#define POLICY_MOST (POLICY_ENTER / 2)
#define POLICY_BAN 20000 // stretches, where a program does what cannot be done directly all the time

struct policy { // all 0: a new address space, translated
    bool direct;
    uint32_t banned; // stretches to go until direct execution is considered again
    int64_t gain;
};

// User code ran for so many cycles, and is to be run on: nothing is known yet of how it ends.
void policy_goes_on(struct policy *p, uint64_t cycles);
// User code ran for so many (more) cycles, and then entered the guest's kernel by itself. faults: hidden ones, of the
// process; or while translated, true page faults, after each of which a process would have had a hidden one.
void policy_entered_kernel(struct policy *p, uint64_t cycles, unsigned faults);
// It cannot be run directly.
void policy_ban(struct policy *p);

#endif
