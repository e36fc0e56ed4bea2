#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Engine vtx on the real kvm_amd module, on a machine that has no SVM: Debian's cloud kernel in QEMU, whose emulated CPU
# has. Runs the engine's unit tests and all images there. For correctness only; its times mean nothing.
set -eu
cd "$(dirname "$0")/.."

npt=${1:-1}
case $#$npt in
01 | 10 | 11) ;;
*)
    echo "usage: scripts/kvm_amd.sh [0|1]    0: shadow paging (npt=0), 1: nested paging (the default)" >&2
    exit 2
    ;;
esac
for tool in qemu-system-x86_64 cpio dpkg-deb apt-get; do
    if ! command -v $tool >/dev/null; then
        echo "kvm_amd.sh: no $tool: apt-get install qemu-system-x86 cpio" >&2
        exit 3
    fi
done
make --no-print-directory -s build/ringside build/tests/vtx build/tests/move images

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$work/packages" "$root"/{bin,dev,proc,sys,tmp,lib,images}
kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
if ! (cd "$work/packages" && apt-get -qq download "$kernel" busybox-static 2>"$work/log"); then
    cat "$work/log" >&2
    exit 1
fi
for package in "$work"/packages/*.deb; do
    dpkg-deb -x "$package" "$work/packages"
done

cp "$work/packages/bin/busybox" build/ringside build/tests/vtx build/tests/move "$root/bin/"
cp -r build/images/. "$root/images/"
for module in irqbypass kvm kvm-amd; do
    find "$work/packages/lib/modules/${kernel#linux-image-}" -name $module.ko -exec cp {} "$root/lib/" \;
done
ldd build/ringside build/tests/vtx | grep -o '/[^ ]*\.so[^ ]*' | sort -u | while read -r library; do
    install -D "$library" "$root$library"
done

cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
npt=$(sed 's/.*npt=\([01]\).*/\1/' /proc/cmdline)
insmod /lib/irqbypass.ko; insmod /lib/kvm.ko; insmod /lib/kvm-amd.ko npt=$npt
ringside engines
failed=0
for test in vtx "move vtx"; do
    $test >/tmp/out 2>&1 || { failed=$((failed + 1)); echo "FAIL $test"; }
    grep -v '^ok' /tmp/out
done
for image in /images/*/*.elf; do
    if ringside run --engine=vtx --append="reps=1 cycles=1000" $image >/tmp/out 2>&1; then
        echo "pass ${image#/images/}"
    elif grep 'ok=0' /tmp/out | grep -qv 'what=not-qemu' || ! grep -q 'ok=0' /tmp/out; then
        case $image in
        */doublefault.elf) # what cannot be delivered of an exception that KVM injects does not become #DF in this CPU
            echo "skip ${image#/images/}: $(tail -n 1 /tmp/out)"; continue ;;
        */hostile_state.elf) # KVM of an AMD CPU gives up at sysenter in 64-bit mode, where the CPUID names Intel
            if grep -q 'cannot emulate.*sysenter' /tmp/out; then
                echo "skip ${image#/images/}: $(tail -n 1 /tmp/out)"; continue
            fi ;;
        esac
        failed=$((failed + 1))
        echo "FAIL ${image#/images/}: $(tail -n 1 /tmp/out)"
    else
        echo "skip ${image#/images/}: fails only what QEMU's CPU itself gets wrong"
    fi
done
echo "kvm_amd npt=$npt: $failed failed"
poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd.gz"

timeout 600 qemu-system-x86_64 -accel tcg -cpu max,+svm,+npt,-la57 -m 1024 -display none -monitor none -no-reboot \
    -serial stdio -kernel "$work/packages/boot/vmlinuz-${kernel#linux-image-}" -initrd "$work/initrd.gz" \
    -append "console=ttyS0 quiet npt=$npt" </dev/null | tee "$work/log"
grep -q "kvm_amd npt=$npt: 0 failed" "$work/log"
