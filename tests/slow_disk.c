/* Makes fsync and fdatasync (and, if asked, writes to files) of a process take longer. Loaded by LD_PRELOAD.

   SLOW_DISK names a file of three 64-bit numbers: microseconds added to a sync, microseconds added to
   a write, and a count of the calls that were slowed. The file is mapped, so that a change is felt by
   the next call, in every process that has it mapped. Callers through libc only: not a static program. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shared;

__attribute__((constructor)) static void map_delays(void) {
    const char *name = getenv("SLOW_DISK");
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *found = mmap(NULL, 3 * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (found != MAP_FAILED) shared = found;
    close(fd);
}

static void delay(int which) {
    int64_t us = shared ? shared[which] : 0;
    if (us <= 0) return;
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&left, &left)) {}
    __atomic_add_fetch(&shared[2], 1, __ATOMIC_RELAXED);
}

static int is_file(int fd) {
    struct stat what;
    return shared && shared[1] > 0 && fstat(fd, &what) == 0 && S_ISREG(what.st_mode);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { delay(0); return NEXT(fsync)(fd); }
int fdatasync(int fd) { delay(0); return NEXT(fdatasync)(fd); }

ssize_t write(int fd, const void *from, size_t size) {
    if (is_file(fd)) delay(1);
    return NEXT(write)(fd, from, size);
}
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
    if (is_file(fd)) delay(1);
    return NEXT(pwrite)(fd, from, size, at);
}
ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    if (is_file(fd)) delay(1);
    return NEXT(pwrite64)(fd, from, size, at);
}
