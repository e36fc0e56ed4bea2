// SPDX-License-Identifier: BSD-2-Clause
// Files: this program's own, read in several ways; positions, shared and not; what cannot be opened.
#include "guest/bantam/user/lib.h"

IMAGE("files");

static const char *own_path(void)
{
    return (const char *)aux_value(AT_EXECFN);
}

static void reading(void)
{
    char magic[4], again[4];
    int fd = open(own_path(), O_RDONLY);
    CHECK(fd >= 0);
    CHECK_EQ(read(fd, magic, 4), 4);
    CHECK(!memcmp(magic, "\177ELF", 4));
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 4);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(read(fd, again, 4), 4);
    CHECK(!memcmp(magic, again, 4));
    int64_t size = lseek(fd, 0, SEEK_END);
    CHECK(size > 4096);
    CHECK_EQ(read(fd, magic, 4), 0); // its end
    CHECK_EQ(lseek(fd, -3, SEEK_END), size - 3);
    CHECK_EQ(read(fd, magic, 4), 3);
    CHECK_EQ(lseek(fd, 1 << 30, SEEK_SET), 1 << 30); // behind the end is allowed, and empty
    CHECK_EQ(read(fd, magic, 4), 0);
    CHECK_EQ(lseek(fd, -1, SEEK_SET), -EINVAL);
    CHECK_EQ(lseek(fd, INT64_MAX, SEEK_CUR), -EINVAL);
    CHECK_EQ(lseek(fd, 0, 77), -EINVAL);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    CHECK_EQ(read(fd, (void *)0xffffffff80100000, 4), -EFAULT);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 0);
    CHECK_EQ(write(fd, "x", 1), -EBADF);
    CHECK_EQ(close(fd), 0);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), -EBADF);
}

// The file is what is in memory: the program's own code.
static void content(void)
{
    static uint8_t block[512];
    const uint8_t *text = (const uint8_t *)((uint64_t)content & ~4095ull);
    extern const char _start[];
    int fd = open(own_path(), O_RDONLY);
    uint64_t found = 0;
    for (int64_t at = 0; read(fd, block, sizeof block) > 0; at += (int64_t)sizeof block) {
        if (at % 4096 == 0 && !memcmp(block, text, sizeof block))
            found++;
    }
    CHECK_EQ(found, 1);
    CHECK((uint64_t)_start > 0x400000);
    close(fd);
}

// dup() and fork() share a position, a second open() has its own.
static void positions(void)
{
    char byte;
    int fd = open(own_path(), O_RDONLY), other = open(own_path(), O_RDONLY), same = dup(fd);
    CHECK_EQ(lseek(fd, 100, SEEK_SET), 100);
    CHECK_EQ(lseek(same, 0, SEEK_CUR), 100);
    CHECK_EQ(lseek(other, 0, SEEK_CUR), 0);
    int pid = fork();
    if (pid == 0) {
        read(fd, &byte, 1);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CHECK_EQ(lseek(fd, 0, SEEK_CUR), 101);
    close(fd);
    CHECK_EQ(read(same, &byte, 1), 1);
    close(same);
    close(other);
}

static void refused(void)
{
    static char long_path[5000];
    memset(long_path, 'p', sizeof long_path - 1);
    CHECK_EQ(open("/no/such/file", O_RDONLY), -ENOENT);
    CHECK_EQ(open("", O_RDONLY), -ENOENT);
    CHECK_EQ(open(NULL, O_RDONLY), -EFAULT);
    CHECK_EQ(open((const char *)0xffffffff80100000, O_RDONLY), -EFAULT);
    CHECK_EQ(open(long_path, O_RDONLY), -ENAMETOOLONG);
    CHECK(open(own_path(), O_WRONLY) < 0); // read-only here; on Linux a program that runs
}

int image_main(void)
{
    reading();
    content();
    positions();
    refused();
    return 0;
}
