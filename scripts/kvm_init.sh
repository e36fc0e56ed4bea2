#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# The only process of the machine that scripts/kvm_machine.py boots: loads KVM, runs each line of /list (NAME COMMAND...)
# and sends what came of it through the second serial port, one line each: done NAME STATUS OUT ERR, the last two
# compressed.
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tracefs trace /sys/kernel/tracing
stty -F /dev/ttyS1 raw -echo 115200
exec 3>/dev/ttyS1

packed()
{
    gzip -9 <"$1" | base64 -w 0
}

module=$(sed -n 's/.*ringside[.]module=\([^ ]*\).*/\1/p' /proc/cmdline)
parameter=$(sed -n 's/.*ringside[.]parameter=\([^ ]*\).*/\1/p' /proc/cmdline)
insmod /lib/irqbypass.ko
insmod /lib/kvm.ko
insmod "/lib/$module.ko" "$parameter" || echo "failed insmod $module $parameter" >&3
while read -r name command; do
    echo "start $name" >&3
    eval "$command" >/tmp/out 2>/tmp/err </dev/null
    echo "done $name $? $(packed /tmp/out) $(packed /tmp/err)" >&3
done </list
echo end >&3
exec 3>&- # waits until all of it has been sent
poweroff -f
