#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# The first process of `make linux`: a shell on the serial line, at whose end the run ends. /native has the programs of the
# guest Unix; /bin/end is guest/linux/init.c, which ends the run where there is nothing else to do.
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "Linux $(uname -r) on $(sed -n 's/^model name.*: //p' /proc/cpuinfo). Programs: /native. exit ends the run."
cd /native
setsid cttyhack sh
exec end >/dev/null # its records
