// SPDX-License-Identifier: BSD-2-Clause
// What a program of the guest Unix may call: what it shares with images (guest/program.h), and the system calls. The
// numbers and the calling convention are Linux's, so that the same file runs there, as the native column. A function
// named after a system call gives what the kernel gives: -1 to -4095 is an error number, and there is no errno.
#ifndef RINGSIDE_GUEST_BANTAM_USER_LIB_H
#define RINGSIDE_GUEST_BANTAM_USER_LIB_H

#include "guest/bantam/linux.h"
#include "guest/program.h"

// For benchmarks that are images as well (bench/micro): a program is at CPL 3 as it is.
#define USER_CODE __attribute__((noinline))
#define USER_DATA

static inline void bench_run_user(const char *name, bench_fn *body, void *ctx)
{
    (void)name, (void)body, (void)ctx; // bench_run() has measured it
}

// A benchmark that runs once, n iterations at a time: one `cold` record, framed by marks.
void bench_once(const char *name, uint64_t n, bench_fn *body, void *ctx);

// What the kernel put on the stack.
struct start_info {
    int argc;
    char **argv, **envp;
    const uint64_t *auxv; // pairs of type and value; AT_NULL ends it
};
extern struct start_info start_info;
uint64_t aux_value(uint64_t type); // 0 where there is none
void console_flush(void);          // print() does so at the end of each line
// The path of a file that lies beside the program's own.
const char *beside(char *path, size_t size, const char *name);

void *memcpy(void *to, const void *from, size_t size); // guest/string.c, all four
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);

// ---- The instruction ----
static inline int64_t syscall6(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
    int64_t result;
    register uint64_t r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static inline int64_t syscall3(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    int64_t result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

// ---- Processes ----
static inline int fork(void)
{
    return (int)syscall3(SYS_fork, 0, 0, 0);
}

static inline int execve(const char *path, const char *const *argv, const char *const *envp)
{
    return (int)syscall3(SYS_execve, (uint64_t)path, (uint64_t)argv, (uint64_t)envp);
}

static inline _Noreturn void _exit(int status)
{
    for (;;)
        syscall3(SYS_exit_group, (uint64_t)status, 0, 0);
}

static inline int waitpid(int pid, int *status, int options)
{
    return (int)syscall6(SYS_wait4, (uint64_t)pid, (uint64_t)status, (uint64_t)options, 0, 0, 0);
}
#define WIFEXITED(status) (((status)&0x7f) == 0)
#define WEXITSTATUS(status) ((status) >> 8 & 0xff)
#define WTERMSIG(status) ((status)&0x7f)
#define WNOHANG 1

static inline int getpid(void)
{
    return (int)syscall3(SYS_getpid, 0, 0, 0);
}

static inline int getppid(void)
{
    return (int)syscall3(SYS_getppid, 0, 0, 0);
}

static inline int kill(int pid, int signal)
{
    return (int)syscall3(SYS_kill, (uint64_t)pid, (uint64_t)signal, 0);
}

static inline void sched_yield(void)
{
    syscall3(SYS_sched_yield, 0, 0, 0);
}

struct timespec {
    int64_t tv_sec, tv_nsec;
};

static inline int nanosleep(const struct timespec *wanted, struct timespec *left)
{
    return (int)syscall3(SYS_nanosleep, (uint64_t)wanted, (uint64_t)left, 0);
}

static inline int clock_gettime(int clock, struct timespec *now)
{
    return (int)syscall3(SYS_clock_gettime, (uint64_t)clock, (uint64_t)now, 0);
}

// ---- Signals ----
// handler(signal), with all of the interrupted state restored when it returns.
#define SA_RESTART 0x10000000u
int signal_set(int signal, void (*handler)(int), uint64_t flags); // sigaction() with a restorer
#define SIG_DFL ((void (*)(int))0)
#define SIG_IGN ((void (*)(int))1)

// ---- Files ----
static inline int64_t read(int fd, void *to, size_t size)
{
    return syscall3(SYS_read, (uint64_t)fd, (uint64_t)to, size);
}

static inline int64_t write(int fd, const void *from, size_t size)
{
    return syscall3(SYS_write, (uint64_t)fd, (uint64_t)from, size);
}

static inline int open(const char *path, int flags)
{
    return (int)syscall3(SYS_open, (uint64_t)path, (uint64_t)flags, 0);
}
#define O_RDONLY 0
#define O_WRONLY 1

static inline int64_t lseek(int fd, int64_t offset, int whence)
{
    return syscall3(SYS_lseek, (uint64_t)fd, (uint64_t)offset, (uint64_t)whence);
}
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

static inline int close(int fd)
{
    return (int)syscall3(SYS_close, (uint64_t)fd, 0, 0);
}

static inline int pipe(int fds[2])
{
    return (int)syscall3(SYS_pipe, (uint64_t)fds, 0, 0);
}

static inline int dup(int fd)
{
    return (int)syscall3(SYS_dup, (uint64_t)fd, 0, 0);
}

static inline int dup2(int from, int to)
{
    return (int)syscall3(SYS_dup2, (uint64_t)from, (uint64_t)to, 0);
}

// ---- Memory ----
static inline void *mmap(void *where, size_t size, unsigned prot, unsigned flags, int fd, uint64_t offset)
{
    return (void *)syscall6(SYS_mmap, (uint64_t)where, size, prot, flags, (uint64_t)fd, offset);
}

static inline int munmap(void *start, size_t size)
{
    return (int)syscall3(SYS_munmap, (uint64_t)start, size, 0);
}

static inline uint64_t brk(uint64_t end)
{
    return (uint64_t)syscall3(SYS_brk, end, 0, 0);
}

static inline bool is_error(const void *mapped)
{
    return (uint64_t)mapped > -(uint64_t)4096;
}

#endif
