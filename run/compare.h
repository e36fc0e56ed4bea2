// SPDX-License-Identifier: BSD-2-Clause
// One image on two engines in step: each has a machine of its own, time is the number of steps, and the first thing in
// which they differ ends it.
#ifndef RINGSIDE_RUN_COMPARE_H
#define RINGSIDE_RUN_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run/compare_state.h"
#include "run/exit_status.h"
#include "run/guest_files.h"
#include "run/variant.h"
#include "x86/decode.h"

enum { COMPARE_PATH = 16, COMPARE_CODE = 15 };

// A mistake made on purpose in the second engine's guest, to see that it is found.
struct compare_fault {
    uint64_t step; // 0: none
    int gpr;       // whose lowest bit flips, or -1: of the byte of RAM at `address`
    uint64_t address;
};

struct compare_request {
    struct variant engine[2];
    struct guest_files files;
    const char *cmdline;
    uint64_t ram_bytes, timeout_ns;
    uint64_t budget; // steps; 0: no limit
    struct compare_fault fault;
};

struct compare_place {
    uint64_t rip;
    uint64_t rflags; // before the step
    enum x86_mode mode;
    uint8_t code[COMPARE_CODE];
    uint8_t code_bytes; // as far as they are mapped
};

struct compare_outcome {
    enum exit_status status;
    char reason[512];      // one line; empty where the guest ended alike on both
    uint64_t steps;        // instructions that were compared, the one that differs included
    uint64_t exits;        // of them those that left the engine
    uint64_t ram_compared; // times that all RAM was
    uint64_t undefined;    // times that flags which the manual leaves undefined had to be made the same

    struct vcpu_state state[2];     // at the end
    struct differences differences; // none where only RAM differs
    bool ram_differs;
    uint64_t ram_address, ram_since; // the first byte, and the last step after which RAM was the same
    uint8_t ram_byte[2];
    struct compare_place path[COMPARE_PATH]; // where the last steps began, oldest first
    size_t path_length;
};

void compare_run(const struct compare_request *request, struct compare_outcome *outcome);

#endif
