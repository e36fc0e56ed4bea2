# SPDX-License-Identifier: BSD-2-Clause
# Builds everything under build/. `make bench` and `make test` are the two commands; `make help` lists the rest.

CC := gcc
SANITIZE ?= 0
QUICK ?= 0

ifeq ($(SANITIZE),1)
B := build/san
SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else
B := build
SAN :=
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef
CFLAGS := -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -I. -MMD -MP $(SAN) $(EXTRA_CFLAGS)
LDLIBS := -lcapstone -lpfm -ljansson -lnettle -lm

# The program: everything but the entry point is also what the unit tests link with.
LIB_SRC := $(wildcard x86/*.c machine/*.c engines/*/*.c) $(filter-out run/main.c,$(wildcard run/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o)
RINGSIDE := $(B)/ringside

# Guest images: one ELF per file. They are the same bytes whatever SANITIZE says.
GUEST_SRC := $(wildcard guest/*.c) $(wildcard guest/*.S)
GUEST_OBJ := $(patsubst %,build/guest/%.o,$(GUEST_SRC))
GUEST_CFLAGS := -std=gnu17 -O2 -g $(WARN) -I. -MMD -MP -ffreestanding -fno-stack-protector -fno-pic -mno-red-zone \
    -mcmodel=kernel -mgeneral-regs-only -fno-asynchronous-unwind-tables -fcf-protection=none -fno-tree-loop-distribute-patterns \
    -ffile-prefix-map=$(CURDIR)=. # the same bytes wherever they are built
BENCH_SRC := $(wildcard bench/nano/*.c bench/micro/*.c)
BENCH_IMAGES := $(patsubst bench/%.c,build/images/%.elf,$(BENCH_SRC))
TEST_GUEST_SRC := $(wildcard tests/guest/*.c)
TEST_IMAGES := $(patsubst tests/guest/%.c,build/images/test/%.elf,$(TEST_GUEST_SRC))
IMAGES := $(BENCH_IMAGES) $(TEST_IMAGES)

# The unprivileged kernels as native programs: bench/micro, and nano benchmarks that say so.
NATIVE_SRC := $(wildcard bench/micro/*.c) $(shell grep -l '^// native: yes' bench/nano/*.c 2>/dev/null)
NATIVE := $(patsubst bench/%.c,build/native/%,$(NATIVE_SRC))

UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT := $(patsubst tests/unit/%.c,$(B)/tests/%,$(UNIT_SRC))

.PHONY: all setup images native bench bench-peers iso test lint format clean help
.DELETE_ON_ERROR:
.SECONDARY:

all: $(RINGSIDE) images native ## the program, the images, the native programs

images: $(IMAGES)
native: $(NATIVE)

setup: ## check for the packages that are needed and install what is missing
	@scripts/setup.sh

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

$(RINGSIDE): $(B)/obj/run/main.o $(LIB_OBJ)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -c -o $@ $<

$(B)/tests/%: tests/unit/%.c $(LIB_OBJ) Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $< $(LIB_OBJ) $(LDLIBS)

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
	$(CC) -std=gnu17 -O2 -g $(WARN) -D_GNU_SOURCE -DNATIVE -I. -MMD -MP -mgeneral-regs-only -fno-tree-loop-distribute-patterns \
	    -fcf-protection=none -fno-stack-protector -fno-pie -no-pie -mno-red-zone -o $@ $<

bench: setup ## run the benchmarks; QUICK=1 for a run of under two minutes
	@$(MAKE) --no-print-directory all
	@scripts/bench.sh $(if $(filter 1,$(QUICK)),--quick)

bench-peers: setup ## the same images under QEMU (TCG) and Bochs, beside ours
	@scripts/setup.sh --peers
	@$(MAKE) --no-print-directory all
	@scripts/peers.py

iso: all ## build/ringside.iso: a GRUB CD with every image, for Bochs or a PC
	@scripts/setup.sh --peers
	@scripts/iso.sh build/ringside.iso $(IMAGES)

test: setup ## unit tests, self-checking guest images, the matrix image x engine; SANITIZE=1 for ASan and UBSan
	@$(MAKE) --no-print-directory $(RINGSIDE) $(UNIT) images native
	@scripts/test.py --build $(B)

lint: ## format, include directions, warnings
	@scripts/setup.sh --lint
	@scripts/lint.sh

format: ## rewrite all C files in the project's format
	clang-format -i $$(git ls-files '*.c' '*.h')

clean: ## remove build/
	rm -rf build

-include $(shell find build -name '*.d' 2>/dev/null)
