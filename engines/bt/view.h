// SPDX-License-Identifier: BSD-2-Clause
// Translating without running, to be looked at.
#ifndef RINGSIDE_BT_VIEW_H
#define RINGSIDE_BT_VIEW_H

#include "include/vcpu.h"
#include "include/view.h"

int bt_view(struct vcpu *v, uint64_t rip, unsigned max, view_fn *fn, void *ctx); // engine->view

#endif
