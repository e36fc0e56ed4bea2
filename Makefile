# SPDX-License-Identifier: BSD-2-Clause
# Builds everything under build/. `make bench` and `make test` are the two commands; `make help` lists the rest.

CC := gcc
# What is built on the way to something else is built on all CPUs, unless make was told how many jobs to run.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
SANITIZE ?= 0
QUICK ?= 0
ABLATION ?= 0

ifeq ($(SANITIZE),1)
B := build/san
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HIGH :=
else
B := build
SAN :=
# The binary translator's guests own the low addresses (engines/bt/layout.h): a position-dependent program at a high one,
# of position-independent code, as nothing else reaches that far. -pie picks the start files, -no-pie is for the linker.
HIGH := -pie -Wl,-no-pie -Wl,--no-relax -Wl,-Ttext-segment=0x7fd000000000
endif

SCALAR := -mgeneral-regs-only
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef
CFLAGS := -std=gnu17 -O2 -g -fPIE $(WARN) -D_GNU_SOURCE -I. -MMD -MP $(SAN) $(EXTRA_CFLAGS)
LDLIBS := -lcapstone -lpfm -ljansson -lnettle -lm

# The program: everything but the entry point is also what the unit tests link with. interp and bt say the same things
# in their own ways and under the same names, so each becomes one object that shows only what others call; a unit test
# of an engine's inside gets that engine's objects as they are.
LIB_SRC := $(wildcard x86/*.c machine/*.c engines/vtx/*.c model/*.c) $(filter-out run/main.c,$(wildcard run/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o)
INTERP_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard engines/interp/*.c))
BT_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(wildcard engines/bt/*.c)) $(patsubst %.S,$(B)/obj/%.o,$(wildcard engines/bt/*.S))
ENGINES := $(B)/obj/interp.o $(B)/obj/bt.o
RINGSIDE := $(B)/ringside

# Guest images: one ELF per file. They are the same bytes whatever SANITIZE says.
GUEST_SRC := $(wildcard guest/*.c) $(wildcard guest/*.S)
GUEST_OBJ := $(patsubst %,build/guest/%.o,$(GUEST_SRC))
GUEST_CFLAGS := -std=gnu17 -O2 -g $(WARN) -I. -MMD -MP -ffreestanding -fno-stack-protector -fno-pic -mno-red-zone \
    -mcmodel=kernel -mgeneral-regs-only -fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-loop-distribute-patterns \
    -ffile-prefix-map=$(CURDIR)=. # the same bytes wherever they are built
PROGRAM_SRC := $(shell grep -l '^// bantam: program' bench/*/*.c)
BENCH_SRC := $(filter-out $(PROGRAM_SRC),$(wildcard bench/nano/*.c bench/micro/*.c bench/lab/*.c))
BENCH_IMAGES := $(patsubst bench/%.c,build/images/%.elf,$(BENCH_SRC))
TEST_GUEST_SRC := $(wildcard tests/guest/*.c)
TEST_IMAGES := $(patsubst tests/guest/%.c,build/images/test/%.elf,$(TEST_GUEST_SRC))

# Programs of the guest Unix. Each is one static file, which runs natively as it is, and with the kernel makes an image.
# The kernels of bench/micro are programs as well, in a suite of their own: user.
BANTAM_SRC := $(wildcard guest/bantam/*.c) $(wildcard guest/bantam/*.S)
BANTAM_OBJ := $(patsubst %,build/guest/%.o,$(BANTAM_SRC))
USER_SRC := $(wildcard guest/bantam/user/*.c) $(wildcard guest/bantam/user/*.S) \
    $(addprefix guest/,check.c format.c measure.c string.c tsc.c words.c)
USER_OBJ := $(patsubst %,build/user/%.o,$(USER_SRC))
USER_CFLAGS := -std=gnu17 -O2 -g $(WARN) -I. -MMD -MP -DBANTAM -ffreestanding -fno-stack-protector -fno-pic \
    -mgeneral-regs-only -fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-loop-distribute-patterns \
    -ffile-prefix-map=$(CURDIR)=.
PROGRAMS := $(patsubst bench/%.c,build/native/%,$(PROGRAM_SRC))
KERNEL_PROGRAMS := $(patsubst bench/micro/%.c,build/native/user/%,$(filter bench/micro/%,$(BENCH_SRC)))
TEST_PROGRAMS := $(patsubst tests/bantam/%.c,build/native/bantam/%,$(wildcard tests/bantam/*.c))
ALL_PROGRAMS := $(PROGRAMS) $(KERNEL_PROGRAMS) $(TEST_PROGRAMS)
LINUX_INITRD := build/linux/initrd
BANTAM_IMAGES := $(patsubst build/native/%,build/images/%.elf,$(ALL_PROGRAMS))
IMAGES := $(BENCH_IMAGES) $(TEST_IMAGES) $(BANTAM_IMAGES)

# Benchmarks that use vector registers, which nothing else of an image does.
VECTOR_SRC := $(shell grep -l '^// vectors: yes' bench/micro/*.c)
VECTOR := -msse2 -mfpmath=sse -fno-math-errno
$(VECTOR_SRC:%=build/guest/%.o): GUEST_CFLAGS := $(filter-out $(SCALAR),$(GUEST_CFLAGS)) $(VECTOR)
$(VECTOR_SRC:%=build/user/%.o): USER_CFLAGS := $(filter-out $(SCALAR),$(USER_CFLAGS)) $(VECTOR)
$(VECTOR_SRC:bench/%.c=build/native/%): SCALAR := $(VECTOR)

# The unprivileged kernels as native programs: bench/micro, and nano benchmarks that say so.
NATIVE_SRC := $(filter bench/micro/%,$(BENCH_SRC)) $(shell grep -l '^// native: yes' bench/nano/*.c 2>/dev/null)
NATIVE := $(patsubst bench/%.c,build/native/%,$(NATIVE_SRC)) $(ALL_PROGRAMS)

UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC))

# Each fuzz target is a short run with a fixed seed among the tests, and a libFuzzer target (scripts/fuzz.sh).
FUZZ_SRC := $(filter-out tests/fuzz/main.c,$(wildcard tests/fuzz/*.c))
UNIT += $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz_%,$(FUZZ_SRC))
TARGET ?= decode

.PHONY: all setup images native bench lab bench-peers whatif paper report iso linux test check-cpu check-switch check-compare check-linux check-peers check-kut check-kvm-amd \
    check-kvm-intel check-soak fuzz lint format clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(RINGSIDE) $(B)/check_cpu images native ## the program, check_cpu, the images, the native programs

images: $(IMAGES)
native: $(NATIVE)

setup: ## check for the packages that are needed and install what is missing
	@scripts/setup.sh

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' Makefile

# What runs while a guest's vector registers are live must not use any (engines/bt/quick.c).
$(BT_OBJ) $(B)/obj/x86/encoding.o $(B)/obj/x86/paging.o: CFLAGS += $(SCALAR)

$(RINGSIDE): $(B)/obj/run/main.o $(LIB_OBJ) $(ENGINES)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(HIGH) -o $@ $^ $(LDLIBS)

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

$(B)/obj/%.o: %.S Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

$(B)/obj/interp.o: $(INTERP_OBJ)
	ld -r -o $@ $^
	objcopy --keep-global-symbol=engine_interp $@

$(B)/obj/bt.o: $(BT_OBJ)
	ld -r -o $@ $^
	objcopy --keep-global-symbol=engine_bt --keep-global-symbol=region_fix_layout $@

TEST_LINK = $(CC) $(CFLAGS) $(HIGH) -o $@ $(filter %.c %.o,$^) $(LDLIBS)

$(B)/tests/interp_%: tests/unit/interp_%.c $(LIB_OBJ) $(INTERP_OBJ) $(B)/obj/bt.o Makefile
	@mkdir -p $(@D)
	$(TEST_LINK)

$(B)/tests/bt_%: tests/unit/bt_%.c $(LIB_OBJ) $(BT_OBJ) $(B)/obj/interp.o Makefile
	@mkdir -p $(@D)
	$(TEST_LINK)

# The differential test (docs/testing.md): the tester, the judge's program as a part of it, and the engines as subjects,
# each one object with an engine's inside.
CPU_OBJ := $(patsubst %.c,$(B)/obj/%.o,$(addprefix tests/cpu/,cases.c judge_client.c minimise.c rows.c tester.c text.c \
    variations.c)) $(B)/obj/tests/cpu/judge_image.o $(B)/obj/cpu_interp.o $(B)/obj/cpu_bt.o

$(B)/obj/cpu_interp.o: $(INTERP_OBJ) $(B)/obj/tests/cpu/subject_interp.o
	ld -r -o $@ $^
	objcopy --keep-global-symbol=engine_interp --keep-global-symbol=subject_interp $@

$(B)/obj/cpu_bt.o: $(BT_OBJ) $(B)/obj/tests/cpu/subject_bt.o
	ld -r -o $@ $^
	objcopy --keep-global-symbol=engine_bt --keep-global-symbol=region_fix_layout --keep-global-symbol=subject_bt $@

# Freestanding: nothing that it does not know of may be in its address space, and no vector register is its own.
$(B)/cpu_judge: tests/cpu/judge.c Makefile
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -I. -MMD -MP -ffreestanding -mgeneral-regs-only -fno-stack-protector \
	    -fno-pie -no-pie -mcmodel=large -fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-loop-distribute-patterns \
	    -static -nostdlib -Wl,-Ttext-segment=0x5a1234000000 -Wl,--build-id=none -Wl,-z,noexecstack -o $@ $<

$(B)/obj/tests/cpu/judge_image.o: tests/cpu/judge_image.S $(B)/cpu_judge
	@mkdir -p $(@D)
	$(CC) -DJUDGE='"$(B)/cpu_judge"' -c -o $@ $<

$(B)/tests/interp_x87 $(B)/tests/bt_vector: $(B)/obj/tests/cpu/variations.o
$(B)/tests/interp_cpu32 $(B)/tests/bt_cpu32: $(B)/obj/tests/cpu/variations.o $(B)/obj/tests/cpu/rows.o

$(B)/check_cpu: $(patsubst %,$(B)/obj/tests/cpu/%.o,check_cpu run run_report) $(CPU_OBJ) $(LIB_OBJ) Makefile
	$(TEST_LINK)

$(B)/tests/interp_cpu $(B)/tests/bt_cpu $(B)/tests/cpu_rows: $(B)/tests/%: tests/unit/%.c $(CPU_OBJ) $(LIB_OBJ) Makefile
	@mkdir -p $(@D)
	$(TEST_LINK)

# With a judge of its own.
$(B)/tests/cpu_tester: tests/unit/cpu_tester.c $(filter-out %/judge_client.o %/judge_image.o,$(CPU_OBJ)) $(LIB_OBJ) Makefile
	@mkdir -p $(@D)
	$(TEST_LINK)

# A part of the guest's kernel, as a part of the host's program.
$(B)/tests/bantam_%: tests/unit/bantam_%.c guest/bantam/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $(filter %.c,$^)

$(B)/tests/fuzz_%: tests/fuzz/%.c tests/fuzz/main.c $(LIB_OBJ) $(BT_OBJ) $(B)/obj/interp.o Makefile
	@mkdir -p $(@D)
	$(TEST_LINK)

$(B)/fuzz/translate: tests/fuzz/translate.c $(LIB_OBJ) $(BT_OBJ) $(B)/obj/interp.o Makefile
	@mkdir -p $(@D)
	$(TEST_LINK) -fsanitize=fuzzer

$(B)/fuzz/%: tests/fuzz/%.c $(filter $(B)/obj/x86/% $(B)/obj/machine/% $(B)/obj/model/% $(B)/obj/run/events.o,$(LIB_OBJ)) Makefile
	@mkdir -p $(@D)
	$(TEST_LINK) -fsanitize=fuzzer

$(B)/tests/%: tests/unit/%.c $(LIB_OBJ) $(ENGINES) Makefile
	@mkdir -p $(@D)
	$(TEST_LINK)

build/guest/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(GUEST_CFLAGS) -c -o $@ $<

build/guest/%.S.o: %.S Makefile
	@mkdir -p $(@D)
	$(CC) -I. -MMD -MP -c -o $@ $<

GUEST_LINK = $(CC) -static -nostdlib -no-pie -Wl,-T,guest/image.ld -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
    -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -o $@ $(filter %.o,$^)

build/images/%.elf: build/guest/bench/%.c.o $(GUEST_OBJ) guest/image.ld
	@mkdir -p $(@D)
	$(GUEST_LINK)

build/images/test/%.elf: build/guest/tests/guest/%.c.o $(GUEST_OBJ) guest/image.ld
	@mkdir -p $(@D)
	$(GUEST_LINK)

build/native/%: bench/%.c guest/native.h Makefile
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -DNATIVE -I. -MMD -MP $(SCALAR) -fno-tree-loop-distribute-patterns \
	    -fcf-protection=none -fno-stack-protector -fno-pie -no-pie -mno-red-zone -o $@ $<

build/user/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(USER_CFLAGS) -c -o $@ $<

build/user/%.S.o: %.S Makefile
	@mkdir -p $(@D)
	$(CC) -I. -MMD -MP -c -o $@ $<

USER_LINK = $(CC) -static -nostdlib -no-pie -Wl,-Ttext-segment=0x400000 -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
    -Wl,-z,noexecstack -Wl,--strip-debug -o $@ $(filter %.o,$^)

$(PROGRAMS): build/native/%: build/user/bench/%.c.o $(USER_OBJ)
	@mkdir -p $(@D)
	$(USER_LINK)

$(KERNEL_PROGRAMS): build/native/user/%: build/user/bench/micro/%.c.o $(USER_OBJ)
	@mkdir -p $(@D)
	$(USER_LINK)

$(TEST_PROGRAMS): build/native/bantam/%: build/user/tests/bantam/%.c.o $(USER_OBJ)
	@mkdir -p $(@D)
	$(USER_LINK)

# The first process of a Linux guest, of the same library.
build/linux/init: build/user/guest/linux/init.c.o $(USER_OBJ)
	@mkdir -p $(@D)
	$(USER_LINK)

# What else is in an archive stands as a prerequisite of its .S; the program itself comes first.
build/archive/%.S: build/native/% scripts/archive.sh
	@mkdir -p $(@D)
	scripts/archive.sh $@ $(filter-out scripts/%,$^)

BROKEN := $(addprefix build/broken/,$(shell sed -n 's/^    "\([a-z_]*\)": .*/\1/p' scripts/broken_elfs.py))
$(BROKEN) &: build/native/micro/execwait scripts/broken_elfs.py
	python3 scripts/broken_elfs.py $< build/broken
build/archive/bantam/exec_broken.S build/native/bantam/exec_broken: $(BROKEN)

# Its initial RAM disk: every program, where the broken files of tests/bantam lie beside them as they do here.
$(LINUX_INITRD): build/linux/init $(ALL_PROGRAMS) $(BROKEN) scripts/initramfs.py
	python3 scripts/initramfs.py $@ init=$< $(foreach file,$(ALL_PROGRAMS) $(BROKEN),$(file:build/%=%)=$(file))

build/archive/%.S.o: build/archive/%.S
	$(CC) -c -o $@ $<

$(BANTAM_IMAGES): build/images/%.elf: build/archive/%.S.o $(BANTAM_OBJ) $(GUEST_OBJ) guest/image.ld
	@mkdir -p $(@D)
	$(GUEST_LINK)

bench: setup ## run the benchmarks; QUICK=1: in under two minutes; ABLATION=1: what each of bt's techniques is worth
	@$(MAKE) $(JOBS) --no-print-directory all
	@scripts/bench.sh $(if $(filter 1,$(ABLATION)),--ablation) $(if $(filter 1,$(QUICK)),--quick)

lab: setup ## N=1 to 5: a course's lab (docs/labs): the form for predictions, then the measuring; RUNS=n processes
	@$(MAKE) $(JOBS) --no-print-directory -s $(RINGSIDE) images native
	@scripts/lab.py measure $(LAB) $(if $(RUNS),--runs=$(RUNS)) $(N)

bench-peers: setup ## the same images under QEMU (TCG) and Bochs, beside ours
	@scripts/setup.sh --peers
	@$(MAKE) $(JOBS) --no-print-directory all
	@scripts/peers.py

whatif: $(RINGSIDE) ## what if exits were cheaper, or guests others: pictures by the cost model, into results/
	@scripts/whatif.py

paper: setup ## PAPER.md, README.md, docs: every block, figure and picture made anew, from the committed results
	@$(MAKE) $(JOBS) --no-print-directory $(RINGSIDE)
	@scripts/paper.py

report: setup ## one HTML page that stands alone: RESULTS=FILE (default: the newest run), OUT=build/report.html
	@$(MAKE) $(JOBS) --no-print-directory $(RINGSIDE)
	@scripts/report.py $(RESULTS) --out=$(or $(OUT),build/report.html)

iso: all ## build/ringside.iso: a GRUB CD with every image, for Bochs or a PC
	@scripts/setup.sh --peers
	@scripts/iso.sh build/ringside.iso $(IMAGES)

test: setup ## unit tests, self-checking guest images, the matrix image x engine; SANITIZE=1 for ASan and UBSan
	@scripts/setup.sh --tests || true
	@scripts/setup.sh --browser || true
	@$(MAKE) $(JOBS) --no-print-directory $(RINGSIDE) $(UNIT) images native
	@scripts/test.py --build $(B)

check-switch: all ## 10,000 moves of a running guest between engines, in each mode of bt and with vtx
	@SWITCHES=10000 tests/cli/switch.py

check-compare: all ## interp and bt in step on every image, some seconds each
	@COMPARE=all tests/cli/compare.py

check-kut: setup ## kvm-unit-tests on every engine; DIR=a built checkout
	@$(MAKE) $(JOBS) --no-print-directory $(RINGSIDE)
	@scripts/check_kut.py $(DIR)

linux: setup ## Debian's kernel with a shell, on ENGINE=bt; Ctrl-A x ends it
	@$(MAKE) $(JOBS) --no-print-directory -s $(RINGSIDE) native images $(LINUX_INITRD)
	@scripts/linux_shell.py $(or $(ENGINE),bt)

check-linux: setup ## Debian's kernel as the guest on every engine, with the guest Unix's programs as its processes
	@scripts/setup.sh --peers || true
	@$(MAKE) $(JOBS) --no-print-directory $(RINGSIDE) images $(LINUX_INITRD)
	@scripts/check_linux.py

check-peers: setup ## the guest Unix's tests and programs in QEMU (TCG) and Bochs
	@scripts/setup.sh --peers
	@$(MAKE) $(JOBS) --no-print-directory images
	@scripts/check_peers.py

# The engine's own unit tests run there too. ONLY=text, PAGING=nested or shadow: a piece of the matrix, kept for the whole.
KVM_PIECE = $(if $(ONLY),--only '$(ONLY)') $(if $(PAGING),--paging $(PAGING))
KVM_PARTS = $(RINGSIDE) $(B)/tests/vtx $(B)/tests/vtx_irqchip $(B)/tests/move images $(LINUX_INITRD)

check-kvm-amd: setup ## vtx on the real kvm_amd (SVM, npt=1 and 0), in QEMU's CPU: needs no KVM; ONLY=text: a piece
	@scripts/setup.sh --peers || true
	@$(MAKE) $(JOBS) --no-print-directory $(KVM_PARTS)
	@scripts/check_kvm.py amd $(KVM_PIECE)

check-kvm-intel: setup ## vtx on the real kvm_intel (VT-x, ept=1 and 0), in Bochs' CPU: likewise, and slower
	@scripts/setup.sh --peers || true
	@$(MAKE) $(JOBS) --no-print-directory $(KVM_PARTS)
	@scripts/check_kvm.py intel $(KVM_PIECE)

check-cpu: setup ## interp and bt against the host's CPU, some ten minutes; CASES=n, SEED=n
	@$(MAKE) $(JOBS) --no-print-directory $(B)/check_cpu
	@$(B)/check_cpu --json=$(B)/check-cpu.json $(if $(CASES),--cases=$(CASES)) $(if $(SEED),--seed=$(SEED))

check-soak: setup ## the guest Unix for SECONDS=3600 on each engine: memory, mappings, descriptors stay as they are
	@$(MAKE) $(JOBS) --no-print-directory $(RINGSIDE) images
	@BUILD=$(B) SOAK=10 python3 tests/cli/soak.py
	@scripts/soak.py --seconds $(or $(SECONDS),3600) --ringside $(RINGSIDE)

fuzz: ## fuzz one target of tests/fuzz by libFuzzer: make fuzz TARGET=decode SECONDS=600
	@scripts/setup.sh --fuzz
	@scripts/fuzz.sh $(TARGET) $(or $(SECONDS),600)

lint: ## format, include directions, what pages point at, warnings
	@scripts/setup.sh --lint
	@scripts/lint.sh

format: ## rewrite all C files in the project's format
	clang-format -i $$(git ls-files '*.c' '*.h')

clean: ## remove build/
	rm -rf build

-include $(shell find build -type f -name '*.d' 2>/dev/null)
