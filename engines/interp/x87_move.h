// SPDX-License-Identifier: BSD-2-Clause
// The fast handlers of x87 moves (x87_move.c), for the table in x87.c.
#ifndef RINGSIDE_INTERP_X87_MOVE_H
#define RINGSIDE_INTERP_X87_MOVE_H

#include "engines/interp/op.h"

op_fn fld_m32, fld_m64, fld_m80, fild_m16, fild_m32, fild_m64, fld_sti;
op_fn fld1, fldl2t, fldl2e, fldpi, fldlg2, fldln2, fldz;
op_fn fst_m32, fst_m64, fist_m16, fist_m32, fst_sti;
op_fn fstp_m32, fstp_m64, fstp_m80, fistp_m16, fistp_m32, fistp_m64, fisttp_m16, fisttp_m32, fisttp_m64, fstp_sti;
op_fn fincstp, fdecstp, ffree, ffreep, fnop;
op_fn fxch, fcmovb, fcmove, fcmovbe, fcmovu, fcmovnb, fcmovne, fcmovnbe, fcmovnu;

#endif
