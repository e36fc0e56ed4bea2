// SPDX-License-Identifier: BSD-2-Clause
// The process as the boundary: what translated code could do if it got out of the translation cache.
#ifndef RINGSIDE_BT_CONTAIN_H
#define RINGSIDE_BT_CONTAIN_H

#include "include/vcpu.h"

// From now on, for good: no file can be opened, no program run, nothing sent but through what is open already. 0, or
// -1 with v->error.
int bt_contain(struct vcpu *v, const int device[VCPU_DEVICES]);

#endif
