# SPDX-License-Identifier: BSD-2-Clause
"""A machine with hardware virtualization on any host: Debian's cloud kernel with the real kvm_amd in QEMU (TCG), whose
emulated CPU has SVM, or with the real kvm_intel in Bochs, whose has VT-x. It boots an initramfs of ringside, its
libraries and the images, runs a list of commands there (kvm_init.sh) and hands back what each printed.

What hangs costs its own time limit and a reboot for what is left, no more; time in which the host kept the emulator from
running counts for nothing. Only this process's own children are ended."""
import base64
import collections
import contextlib
import glob
import gzip
import hashlib
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time
import tty

import debian_kernel
import initramfs

FOLDER = "build/kvm"
MODULES = ("irqbypass", "kvm", "kvm-amd", "kvm-intel")
POLL_SECONDS = 0.5


def end_on_signals():
    """Ctrl-C and SIGTERM end the emulator, too, also in the background, where Ctrl-C is ignored at first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


# boot, item: seconds without a word from it (Undisturbed) after which a boot, or an item, is taken to hang. guest: seconds
# by the emulated machine's clock that an image gets. items: as many at most in one boot. turn: seconds by that clock between
# two moves of a guest that changes engines: some times what a move takes, or the guest hardly goes on.
Limits = collections.namedtuple("Limits", "boot item guest items turn")


class Machine:
    """An emulator with what it emulates. start(files, kernel, initrd, words) gives the process."""

    def __init__(self, name, what, module, parameter, package, tools, start, limits):
        self.name, self.what, self.module, self.parameter, self.package = name, what, module, parameter, package
        self.tools, self.start, self.limits = tools, start, limits

    def config(self):
        """What of its own makes the emulated machine what it is."""
        qemu = self.package.startswith("qemu")
        return KERNEL_WORDS + (" ".join(QEMU_WORDS) if qemu else contents("scripts/kvm_bochsrc.in").decode())

    def setting(self, nested):
        return f"{self.parameter}={int(nested)}"

    def folder(self, nested):
        """Where it leaves its files; a name that xorriso takes for no more than one."""
        return f"{FOLDER}/{self.name}-{self.parameter}{int(nested)}"

    def version(self):
        """The emulator's package and version: Bochs has no option that prints its own."""
        done = subprocess.run(["dpkg-query", "-W", "-f=${Version}", self.package], capture_output=True, text=True)
        return f"{self.package} {done.stdout.strip() or 'of unknown version'}"

    def missing(self):
        found = [tool for tool in self.tools if not shutil.which(tool)]
        return f"no {', '.join(found)}: scripts/setup.sh --peers" if found else None


class Files:
    """Where one boot of a machine leaves what it says."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.console, self.results = os.path.join(folder, "console.log"), os.path.join(folder, "results.log")
        for path in (self.console, self.results):
            open(path, "wb").close()

    def path(self, name):
        return os.path.abspath(os.path.join(self.folder, name))


# ---- The initramfs ----

def command_list(items):
    """Of (name, command): the file /list, as an archive that follows the other."""
    return initramfs.newc(initramfs.tree({"list": "".join(f"{name} {command}\n" for name, command in items).encode()}))


def stripped(path):
    """A program without what only a debugger reads."""
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["strip", "-g", "-o", file.name, path], check=True)
        return contents(file.name)


def libraries(programs):
    done = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True)
    return sorted(set(re.findall(r"/\S*\.so\S*", done.stdout)))


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def sha256(path):
    return hashlib.sha256(contents(path)).hexdigest()


# ---- What the machine boots ----

class Root:
    """The initramfs but for /list, as {path: bytes}, and the kernel. others: files that lie in it as they are, in /others.
    debian_kernel.Unavailable where something cannot be had."""

    def __init__(self, machine, programs, images, others=()):
        if machine.missing():
            raise debian_kernel.Unavailable(machine.missing())
        self.kernel = debian_kernel.Kernel()
        files = {"init": contents("scripts/kvm_init.sh"), "bin/busybox": contents(self.kernel.busybox)}
        files |= {path.lstrip("/"): contents(path) for path in libraries(programs)}
        files |= {f"lib/{module}.ko": contents(self.kernel.module(module)) for module in MODULES}
        files |= {f"{folder}/.keep": b"" for folder in ("dev", "proc", "sys", "tmp")}
        common = hashlib.sha256(f"{machine.version()} {self.kernel.release} {machine.config()}".encode())
        for path, data in sorted(files.items()):
            common.update(path.encode() + hashlib.sha256(data).digest())
        self.common = common.digest()
        files |= {f"bin/{os.path.basename(p)}": stripped(p) for p in programs}
        files |= {f"images/{os.path.relpath(p, 'build/images')}": stripped(p) for p in images}
        files |= {f"others/{os.path.basename(p)}": contents(p) for p in [self.kernel.image, *others]}
        self.files = files

    def key(self, command):
        """Of what a command's result is one: the machine, the command, and the files that it names."""
        digest = hashlib.sha256(self.common + command.encode())
        for path in self.named(command):
            digest.update(self.files[path])
        return digest.hexdigest()

    def named(self, command):
        """Files that a command names: programs and images, and what is an option's value."""
        words = command.split()
        return [path for path in [f"bin/{words[0]}"] + [word.split("=")[-1].lstrip("/") for word in words] if path in self.files]

    def archive(self, items):
        """The initramfs for a list of items: what is too much takes an emulator long to load."""
        wanted = {path for _, command in items for path in self.named(command)} | {"bin/busybox"}
        files = {path: data for path, data in self.files.items() if path in wanted or not path.startswith(("bin/", "images/", "others/"))}
        base = gzip.compress(initramfs.newc(initramfs.tree(files)), 1, mtime=0)
        return base + bytes(-len(base) % 4) + command_list(items)


# ---- The emulators ----

# Without what it does against attacks through the processor's caches: on an emulated one that is only slow.
KERNEL_WORDS = "console=ttyS0 quiet nokaslr panic=-1 mitigations=off init_on_alloc=0"


def kernel_words(machine, nested):
    return f"{KERNEL_WORDS} ringside.module={machine.module} ringside.parameter={machine.setting(nested)}"


# Without XSAVE: TCG's SVM does not intercept xsetbv, so that KVM never learns what the guest's XCR0 is. The clock goes by
# instructions, 4 ns each, and leaps where the machine is idle: by the host's clock, kernels fail whose host is busy.
QEMU_WORDS = ["-accel", "tcg", "-cpu", "max,+svm,+npt,-la57,-xsave", "-icount", "shift=2,sleep=off", "-rtc", "clock=vm"]


def start_qemu(files, kernel, initrd, words):
    command = ["qemu-system-x86_64", *QEMU_WORDS, "-m", "1024", "-display", "none", "-monitor", "none", "-no-reboot",
               "-serial", f"file:{files.console}", "-serial", f"file:{files.results}",
               "-kernel", kernel, "-initrd", initrd, "-append", words]
    log = open(files.path("emulator.log"), "wb")
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def make_cd(files, kernel, initrd, words):
    cd = files.path("cd")
    shutil.rmtree(cd, ignore_errors=True)
    os.makedirs(f"{cd}/boot/grub")
    shutil.copy(kernel, f"{cd}/boot/vmlinuz")
    shutil.copy(initrd, f"{cd}/boot/initrd")
    with open(f"{cd}/boot/grub/grub.cfg", "w", encoding="utf-8") as file:
        file.write(f"linux /boot/vmlinuz {words}\ninitrd /boot/initrd\nboot\n")
    done = subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", files.path("cd.iso"), "--fonts=",
                           "--locales=", "--themes=", "--install-modules=normal linux iso9660 biosdisk", cd],
                          capture_output=True, text=True)
    if done.returncode:
        raise debian_kernel.Unavailable(f"grub-mkrescue: {done.stderr.strip().splitlines()[-1]}")
    shutil.rmtree(cd)


def bochs_starter(model):
    """Bochs wants a terminal, and Debian's starts in its debugger."""
    def start(files, kernel, initrd, words):
        make_cd(files, kernel, initrd, words)
        text = contents("scripts/kvm_bochsrc.in").decode()
        names = {"MODEL": model, "ISO": files.path("cd.iso"), "CONSOLE": os.path.abspath(files.console),
                 "RESULTS": os.path.abspath(files.results), "LOG": files.path("emulator.log")}
        for key, value in names.items():
            text = text.replace(f"@{key}@", value)
        with open(files.path("bochsrc"), "w", encoding="utf-8") as file:
            file.write(text)
        with open(files.path("commands"), "w", encoding="utf-8") as file:
            file.write("continue\n")
        master, slave = pty.openpty()
        process = subprocess.Popen(["bochs", "-q", "-f", files.path("bochsrc"), "-rc", files.path("commands")],
                                   stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                   env=dict(os.environ, TERM="xterm"))
        os.close(slave)
        os.set_blocking(master, False)
        process.terminals = [master]
        return process
    return start


BOCHS_LIMITS = Limits(boot=600, item=600, guest=600, items=60, turn=0.01)
BOCHS_TOOLS = ("bochs", "grub-mkrescue", "xorriso", "mformat")
MACHINES = {
    "amd": Machine("amd", "QEMU TCG", "kvm-amd", "npt", "qemu-system-x86", ("qemu-system-x86_64",), start_qemu,
                   Limits(boot=180, item=240, guest=100, items=200, turn=0.0005)),
    "intel": Machine("intel", "Bochs, Sandy Bridge", "kvm-intel", "ept", "bochs", BOCHS_TOOLS,
                     bochs_starter("corei7_sandy_bridge_2600k"), BOCHS_LIMITS),
    "amd-bochs": Machine("amd-bochs", "Bochs, Bulldozer", "kvm-amd", "npt", "bochs", BOCHS_TOOLS,
                         bochs_starter("zambezi"), BOCHS_LIMITS),
}


# ---- Following a boot ----

class Result:
    """What one item brought. status: its exit status; None where it hung or took the machine with it, which `out` says."""

    def __init__(self, name, status, out, err, seconds):
        self.name, self.status, self.out, self.err, self.seconds = name, status, out, err, seconds


def unpacked(text):
    return gzip.decompress(base64.b64decode(text)).decode(errors="replace")


class Follower:
    """Reads the results port. feed(bytes, now) gives the Results that became complete."""

    def __init__(self):
        self.rest, self.current, self.since, self.ended = b"", None, None, False
        self.done, self.trouble = 0, None

    def feed(self, data, now):
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            words = line.decode(errors="replace").strip().split(" ")
            if words[0] == "start" and len(words) == 2:
                self.current, self.since = words[1], now
            elif words[0] == "done" and len(words) == 5 and words[1] == self.current:
                yield Result(words[1], int(words[2]), unpacked(words[3]), unpacked(words[4]), now - self.since)
                self.current = None
                self.done += 1
            elif words[0] == "end":
                self.ended = True
            elif words[0] == "failed":
                self.trouble = " ".join(words[1:])


def terminals_of(pid):
    """Open descriptors of the terminals whose other end a process holds: Debian's Bochs makes one for its display."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{fd}") in ("/dev/ptmx", "/dev/pts/ptmx"):
            index = re.search(r"tty-index:\s*(\d+)", contents(f"/proc/{pid}/fdinfo/{fd}").decode())
            found.append(os.open(f"/dev/pts/{index.group(1)}", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
            tty.setraw(found[-1])
    return found


def drain(process):
    """The display of an emulator: nobody looks at it, but where it fills up the emulator stands still."""
    if not hasattr(process, "terminals"):
        return
    if len(process.terminals) == 1:
        with contextlib.suppress(OSError):
            process.terminals += terminals_of(process.pid)
    for fd in process.terminals:
        with contextlib.suppress(OSError):
            while os.read(fd, 65536):
                pass


def stop(process):
    if process.poll() is None:
        process.kill()
    process.wait()
    for fd in getattr(process, "terminals", []):
        os.close(fd)


def tail(path, lines=3):
    """What a console said last, or where its kernel panicked."""
    text = contents(path).decode(errors="replace")
    kept = [line.strip() for line in text.splitlines() if line.strip()]
    panics = [line for line in kept if "Kernel panic" in line]
    return " / ".join(panics or kept[-lines:]) or "nothing on the console"


def waited(pid):
    """Seconds for which a process was ready to run and others did: of its threads, the one that waited longest (Linux,
    Documentation/scheduler/sched-stats.rst: /proc/PID/schedstat has ns run, ns waited, turns)."""
    longest = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError):
            longest = max(longest, int(contents(path).split()[1]))
    return longest / 1e9


class Undisturbed:
    """A clock that stands still while a process waits for a CPU: on a busy host nothing hangs earlier than on a quiet one."""

    def __init__(self, pid):
        self.pid, self.lost = pid, 0.0

    def __call__(self):
        self.lost = max(self.lost, waited(self.pid))  # a thread that ended takes its own with it
        return time.monotonic() - self.lost


def follow(machine, process, files, on_result, sleep=time.sleep):
    """To the end of the list, of the process or of a time limit. Gives the Follower, and why it stopped or None."""
    follower, offset, clock = Follower(), 0, Undisturbed(process.pid)
    last = clock()
    while True:
        drain(process)
        over = process.poll() is not None
        with open(files.results, "rb") as file:
            file.seek(offset)
            data = file.read()
        offset += len(data)
        now = clock()
        before = follower.current
        for result in follower.feed(data, now):
            on_result(result)
        if data and (follower.current != before or b"\n" in data):
            last = now
        if follower.trouble:
            return follower, follower.trouble
        if follower.ended:
            return follower, None
        if over:
            return follower, f"the machine ended: {tail(files.console)}"
        limit = machine.limits.item if follower.current else machine.limits.boot
        if now - last > limit:
            return follower, f"nothing for {limit} s: {tail(files.console)}"
        sleep(POLL_SECONDS)


def run(machine, nested, items, on_result, root):
    """Runs items, (name, command), in order, some in each boot; on_result gets a Result for each. Boots again after one
    that hung, for what is left. RuntimeError where the machine does not come up."""
    left, boots = list(items), 0
    while left:
        boots += 1
        files = Files(f"{machine.folder(nested)}/boot{boots}")
        results = []
        some = left[:machine.limits.items]
        why = boot(machine, nested, some, files, root, lambda result: (results.append(result), on_result(result)))
        if why:
            raise RuntimeError(f"{machine.what}, {machine.setting(nested)}: {why}; see {files.folder}")
        done = {result.name for result in results}
        left = [item for item in left if item[0] not in done]


def boot(machine, nested, items, files, root, on_result):
    """One boot, to the end of its items or to one that hangs, which is a Result then. Gives why it was none, or None."""
    initrd = files.path("initrd")
    with open(initrd, "wb") as file:
        file.write(root.archive(items))
    process = machine.start(files, root.kernel.image, initrd, kernel_words(machine, nested))
    try:
        follower, why = follow(machine, process, files, on_result)
    finally:
        stop(process)
        for name in ("initrd", "cd.iso"):
            if os.path.exists(files.path(name)):
                os.unlink(files.path(name))
    if why and follower.current:
        on_result(Result(follower.current, None, "", why, machine.limits.item))
        return None
    return why or (None if follower.done == len(items) else f"the list ended after {follower.done} of {len(items)} items")
