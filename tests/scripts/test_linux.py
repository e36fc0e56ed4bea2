#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Of Linux as the guest what can be said without one: the archive of its RAM disk, what programs print, the tables, and which
programs there are."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts"))
import _fixture
import linux
import linux_guest
import paper
import results
from _ok import check, done

LINES = ["[    0.000000] quiet", "rs1 begin name=linux", "rs1 check name=linux ok=1 what=/native/bantam/fork", "rs1 cold name=fib tsc=70",
         "rs1 run name=fib n=8", "rs1 warm name=fib n=8 t1=100 t2=260 e1=1 e2=1", "rs1 warm name=fib n=8 t1=100 t2=420 e1=0 e2=0",
         "rs1 value name=fib value=3", "rs1 end name=fib status=0"]
ENDED = "rs1 end name=linux status=0"


def boot(lines, way="bt"):
    times = [(n * 10, n * 10 + 5, text) for n, text in enumerate(lines)]
    found = linux_guest.Boot(times, 5, 1000)
    return found, found.wrong(way)


found, wrong = boot(LINES + [ENDED])
check("a boot to the first process and to the end", (found.init_ns, found.wall_ns, found.held, wrong) == (10, 995, 1, []))
check("a boot that did not end", boot(LINES)[1] == ["rs1 end name=fib status=0"])
check("a boot that said nothing", boot([])[1] == ["no output at all"] and boot([])[0].init_ns is None)
check("a check that failed", boot(LINES + ["rs1 check name=fork ok=0 what=x == y (got 0x1, want 0x2)", ENDED])[1] == ["x == y (got 0x1, want 0x2)"])
check("a panic", boot(LINES + ["Kernel panic - not syncing: x", ENDED])[1] == ["Kernel panic - not syncing: x"])
check("what another CPU does otherwise is not what is looked for", boot(LINES + ["rs1 check name=a ok=0 what=b", ENDED], linux_guest.PEER)[1] == [])
check("what programs print becomes a sample", linux.uncounted(LINES) == {
    "fib": {"cold": 70, "n": 8, "t1": [100, 100], "t2": [260, 420], "e1": [1, 0], "e2": [1, 0]}})

guest = linux_guest.Guest("vmlinuz", "quiet", cpu=1)
moving, peer = guest.command("interp,bt", "run=a"), guest.command(linux_guest.PEER, "run=a")
check("engines in turn switch", "--engine=interp,bt" in moving and "--switch=0.05" in moving and "--append=quiet -- run=a" in moving and moving[-1] == "vmlinuz")
check("QEMU gets the same words and as much RAM", peer[peer.index("-append") + 1] == "quiet -- run=a" and peer[peer.index("-m") + 1] in "".join(moving))

with tempfile.TemporaryDirectory() as scratch:
    path = os.path.join(scratch, "a.jsonl")
    _fixture.make_linux(path)
    run = results.load(path)[-1]
    text = "\n".join(linux.boot_table(run))
    check("boots by engine, and against QEMU's", "| bt: shadow | 2 | 2.50 | 2.00 | 0.50 |" in text and "| QEMU TCG | 2 | 5.00 | 4.00 | 1.00 |" in text)
    text = "\n".join(linux.whole(run))
    check("the whole has forkwait's ratio beside the paper's, and its events", "| forkwait | 6.14 | 17.7 | 1.80 |" in text and
          "| `syscalls`: syscall instructions executed |" in text and "Linux 6.1 as Debian ships it, `quiet`" in text)
    check("the file fills its blocks", paper.blocks_of(path) is paper.LINUX_BLOCKS and all(paper.content(name, path) for name in paper.LINUX_BLOCKS))

jobs = linux.jobs_of(linux.parse(["--rounds=2", "--seed=1"]), ["native", "bt"])
check("each way boots, and natively there is no boot", sorted(w for w, suite in jobs if suite is None) == ["bt", "bt"])
check("every suite in each way", len(jobs) == 2 + 2 * 2 * len(linux.benchmarks()))
done()
