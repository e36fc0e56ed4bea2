// SPDX-License-Identifier: BSD-2-Clause
// Guest RAM as a memfd, so that engines can map it again and again. The pages come as the guest touches them; what the
// host could never provide is refused beforehand, because later the only answer would be a signal.
#include "machine/ram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define MIB(bytes) ((bytes) >> 20)

static int check_size(uint64_t bytes, char *err, size_t err_size)
{
    if (bytes < RAM_MIN || bytes > RAM_MAX) {
        snprintf(err, err_size, "guest RAM must be from %" PRIu64 " MiB to %" PRIu64 " MiB, not %" PRIu64 " bytes",
                 (uint64_t)MIB(RAM_MIN), (uint64_t)MIB(RAM_MAX), bytes);
        return -1;
    }
    if (bytes % RAM_UNIT) {
        snprintf(err, err_size, "guest RAM must be a multiple of 2 MiB, not %" PRIu64 " bytes", bytes);
        return -1;
    }
    struct sysinfo host;
    if (sysinfo(&host) == 0) {
        uint64_t have = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
        if (bytes > have) {
            snprintf(err, err_size, "cannot get %" PRIu64 " MiB of guest RAM: this host has %" PRIu64 " MiB",
                     MIB(bytes), MIB(have));
            return -1;
        }
    }
    struct rlimit limit; // beyond it, ftruncate() does not fail but raises SIGXFSZ
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur) {
        snprintf(err, err_size, "cannot get %" PRIu64 " MiB of guest RAM: the file size limit (ulimit -f) is lower",
                 MIB(bytes));
        return -1;
    }
    return 0;
}

int ram_create(struct guest_ram *ram, uint64_t bytes, char *err, size_t err_size)
{
    *ram = (struct guest_ram){.memfd = -1};
    if (check_size(bytes, err, err_size))
        return -1;

    const char *what = "memfd_create";
    ram->memfd = memfd_create("ringside-ram", MFD_CLOEXEC);
    if (ram->memfd < 0)
        goto fail;
    what = "ftruncate";
    if (ftruncate(ram->memfd, (off_t)bytes))
        goto fail;
    what = "mmap";
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram->memfd, 0);
    if (base == MAP_FAILED)
        goto fail;
    ram->base = base;
    ram->size = bytes;
    return 0;

fail:
    snprintf(err, err_size, "cannot get %" PRIu64 " MiB of guest RAM: %s: %s", MIB(bytes), what, strerror(errno));
    ram_destroy(ram);
    return -1;
}

void ram_destroy(struct guest_ram *ram)
{
    if (ram->base)
        munmap(ram->base, ram->size);
    if (ram->memfd >= 0)
        close(ram->memfd);
    *ram = (struct guest_ram){.memfd = -1};
}

unsigned ram_pieces(const struct guest_ram *ram, struct ram_piece piece[static RAM_PIECES_MAX])
{
    const uint64_t low_end = 639 << 10, high_start = 1 << 20;
    uint64_t below = ram->size < RAM_HOLE_START ? ram->size : RAM_HOLE_START, above = ram->size - below;
    piece[RAM_LOW] = (struct ram_piece){0, low_end};
    piece[RAM_BELOW_HOLE] = (struct ram_piece){high_start, below - high_start};
    piece[RAM_ABOVE_HOLE] = (struct ram_piece){RAM_HOLE_END, above};
    return above ? RAM_PIECES_MAX : RAM_ABOVE_HOLE;
}
