// SPDX-License-Identifier: BSD-2-Clause
// The PC around the vCPU: RAM, ports, serial line, interrupt controllers, timers, and the loader. Knows no engine: it
// reaches the vCPU only through the function pointers of struct engine. No file-scope state; everything hangs off
// struct machine.
#ifndef RINGSIDE_MACHINE_H
#define RINGSIDE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/vcpu.h"
#include "machine/clock.h"

struct machine;

enum { MACHINE_ENGINES_MAX = 4 };

struct machine_config {
    uint64_t ram_bytes;  // multiple of 2 MiB, from 8 MiB to 64 GiB
    const char *cmdline; // for the guest; NULL: empty
    const void *initrd;  // initial RAM disk for a Linux kernel, kept until machine_load(); NULL: none
    size_t initrd_size;
    const char *settings; // of the engine, as in struct vcpu; NULL: none
    // Engines that machine_add_engine() will bring, up to the first NULL: the guest's CPUID is what all of them show.
    const struct engine *later[MACHINE_ENGINES_MAX];

    const struct machine_clock *clock; // NULL: the host's; else it is also the time of day, and may stand still

    // Bytes that the guest sends on the serial line; returns false where the run should end (flood limit).
    bool (*serial_out)(void *ctx, uint8_t byte);
    // The next byte for the guest to receive there, SERIAL_NOTHING yet or SERIAL_END (serial.h); NULL: there is no
    // input.
    int (*serial_in)(void *ctx);
    // A mark was written; called before run() returns VCPU_EXIT_MARK.
    void (*mark)(void *ctx, uint32_t value);
    void *ctx;
};

// Builds the machine and its vCPU on the given engine, or returns NULL with one line in err.
struct machine *machine_create(const struct machine_config *config, const struct engine *engine, char *err,
                               size_t err_size);
void machine_destroy(struct machine *m); // NULL is fine

// The vCPU on the engine that the guest is on now.
struct vcpu *machine_vcpu(struct machine *m);

// One more engine for the same guest, which is not on it yet. The first has the number 0. 0, or -1 with one line in
// err: a guest cannot move where interrupt controllers stay behind (engine_has_irqchip), nor to an engine that shows
// less CPUID than the machine was made with (machine_config.later).
int machine_add_engine(struct machine *m, const struct engine *engine, const char *settings, char *err,
                       size_t err_size);

struct vcpu *machine_engine(struct machine *m, unsigned number); // its vCPU, for what it has counted

// Moves the guest to that engine, while none is running it. Devices and RAM stay what they are. 0, or -1 with one line
// in err, and the guest is lost.
int machine_move(struct machine *m, unsigned to, char *err, size_t err_size);

// Loads an image and puts the vCPU at its entry: ELF64 (guest_abi.h, "Entry"), a Linux kernel (linux.h), or ELF32 for
// Multiboot, which starts in 32-bit protected mode and needs an engine that has that. 0, or -1 with one line in err.
// Nothing in the file is trusted. The image's bytes stay the caller's.
int machine_load(struct machine *m, const void *image, size_t size, char *err, size_t err_size);

// Advance timers to now and raise what is due. Call after VCPU_EXIT_KICK and VCPU_EXIT_HALT. A guest that sets a timer
// to an earlier time ends run() with VCPU_EXIT_KICK, so that whoever waits for the deadline can ask for it again.
void machine_tick(struct machine *m);

// serial_in() may have bytes, after it had none, or for the first time. The next machine_tick() brings them where the
// guest takes them, as fast as it does.
void machine_serial_input(struct machine *m);

// CLOCK_MONOTONIC nanoseconds at which a device wants machine_tick() next; UINT64_MAX for never.
uint64_t machine_next_deadline(const struct machine *m);

// Whether an interrupt could still wake a halted vCPU: one is pending, a timer is armed, or input may come. False means
// that a hlt is the guest's last word.
bool machine_can_wake(const struct machine *m);
// Whether INTR is asserted, by the machine's own interrupt controllers.
bool machine_interrupt_pending(const struct machine *m);

// The value written to the debug-exit port, once run() returned VCPU_EXIT_POWER.
bool machine_exit_code(const struct machine *m, uint32_t *value);

// Whether the serial sink asked for an end (serial_out returned false).
bool machine_serial_refused(const struct machine *m);

#endif
