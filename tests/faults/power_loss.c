/* Journals what a process does to the files below POWER_ROOT, so that a power cut can be acted out:
 * what was written and not yet synced may be gone, or there in part. Loaded by LD_PRELOAD.
 *
 * A record is: op (1 byte), inode (8), offset or size (8), length (4), then so many bytes.
 *   W write   T truncate   S sync (of a file or a folder)   A acknowledgement (write to POWER_ACKS)
 *   C create  D make folder  R rename, L link (old NUL new)  U remove
 *
 * A sync is only noted: the disk is acted out, and the real one need not wait. POWER_IGNORE_SYNC
 * leaves even the note away. POWER_EIO_AT=n fails the n-th sync, as a disk does that dies; POWER_FULL_AT=n
 * has no room for more than n bytes. Not modelled: mmap (SQLite's -shm, which it makes anew), fallocate. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 65536
enum { UNKNOWN, INSIDE, ACKS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char kind[FDS];
static char root[PATH_MAX], acks[PATH_MAX];
static int journal = -1, ignore_sync;
static long syncs, eio_at, full_at;
static uint64_t written;


__attribute__((constructor)) static void begin(void) {
    const char *to = getenv("POWER_JOURNAL"), *below = getenv("POWER_ROOT"), *promised = getenv("POWER_ACKS");
    if (!to || !below || !promised) return;
    snprintf(root, sizeof root, "%s", below);
    snprintf(acks, sizeof acks, "%s", promised);
    ignore_sync = getenv("POWER_IGNORE_SYNC") != NULL;
    eio_at = getenv("POWER_EIO_AT") ? atol(getenv("POWER_EIO_AT")) : 0;
    full_at = getenv("POWER_FULL_AT") ? atol(getenv("POWER_FULL_AT")) : 0;
    journal = (int)syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(char op, uint64_t inode, uint64_t offset, const void *data, uint32_t length) {
    unsigned char head[21];
    head[0] = (unsigned char)op;
    memcpy(head + 1, &inode, 8);
    memcpy(head + 9, &offset, 8);
    memcpy(head + 17, &length, 4);
    struct iovec parts[2] = {{head, sizeof head}, {(void *)data, length}};
    size_t wanted = sizeof head + length;
    if (syscall(SYS_writev, journal, parts, 2) != (long)wanted) abort();
}

static int is_inside(const char *path) {
    size_t n = strlen(root), length = strlen(path);
    if (journal < 0 || strncmp(path, root, n) || (path[n] && path[n] != '/')) return 0;
    return length < 4 || strcmp(path + length - 4, "-shm");
}

static void absolute(int folder, const char *path, char *out) {
    char base[PATH_MAX] = "", link[64];
    if (path[0] != '/') {
        if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        ssize_t n = readlink(link, base, sizeof base - 1);
        base[n < 0 ? 0 : n] = 0;
    }
    if (snprintf(out, PATH_MAX, "%s%s%s", base, base[0] ? "/" : "", path) >= PATH_MAX) abort();
}

static uint64_t inode_of(const char *path) {
    struct stat facts;
    return lstat(path, &facts) ? 0 : facts.st_ino;
}

static uint64_t inode_at(int fd) {
    struct stat facts;
    return fstat(fd, &facts) ? 0 : facts.st_ino;
}

static int is_tracked(int fd) { return journal >= 0 && fd >= 0 && fd < FDS && kind[fd] != UNKNOWN; }

/* ---- opening and closing ---- */

static int open_any(int folder, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    if (journal < 0) return (int)syscall(SYS_openat, folder, path, flags, mode);
    absolute(folder, path, whole);
    pthread_mutex_lock(&lock);
    int inside = is_inside(whole), was_there = inside && inode_of(whole);
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        kind[fd] = !strcmp(whole, acks) ? ACKS : inside ? INSIDE : UNKNOWN;
        if (inside && !was_there) note('C', inode_at(fd), 0, whole, (uint32_t)strlen(whole));
        else if (inside && flags & O_TRUNC) note('T', inode_at(fd), 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return open_any(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return open_any(folder, path, flags, mode); }

int close(int fd) {
    if (is_tracked(fd)) kind[fd] = UNKNOWN;
    return (int)syscall(SYS_close, fd);
}

/* ---- bytes ---- */

static ssize_t write_any(int fd, const void *data, size_t size, off_t at) {
    pthread_mutex_lock(&lock);
    off_t offset = at;
    if (at < 0) {
        struct stat facts;
        int appends = fcntl(fd, F_GETFL) & O_APPEND;
        offset = appends ? (fstat(fd, &facts), facts.st_size) : lseek(fd, 0, SEEK_CUR);
    }
    ssize_t n;
    if (kind[fd] == INSIDE && full_at && written + size > (uint64_t)full_at) { n = -1; errno = ENOSPC; }
    else n = at < 0 ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, at);
    if (n > 0) {
        if (kind[fd] == INSIDE) written += (uint64_t)n;
        note(kind[fd] == ACKS ? 'A' : 'W', inode_at(fd), (uint64_t)offset, data, (uint32_t)n);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return n;
}

ssize_t write(int fd, const void *data, size_t size) {
    return is_tracked(fd) ? write_any(fd, data, size, -1) : syscall(SYS_write, fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return is_tracked(fd) ? write_any(fd, data, size, at) : syscall(SYS_pwrite64, fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return pwrite(fd, data, size, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!is_tracked(fd)) return syscall(SYS_writev, fd, parts, count);
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = write_any(fd, parts[i].iov_base, parts[i].iov_len, -1);
        if (n < 0) return total ? total : n;
        total += n;
        if ((size_t)n < parts[i].iov_len) break;
    }
    return total;
}

int ftruncate(int fd, off_t size) {
    if (!is_tracked(fd)) return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int failed = (int)syscall(SYS_ftruncate, fd, size);
    if (!failed) note('T', inode_at(fd), (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return failed;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/* ---- promises ---- */

static int sync_any(int fd) {
    pthread_mutex_lock(&lock);
    int failed = eio_at && ++syncs == eio_at;
    if (!failed && !ignore_sync) note('S', inode_at(fd), 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (failed) errno = EIO;
    return failed ? -1 : 0;
}
int fsync(int fd) { return is_tracked(fd) ? sync_any(fd) : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return is_tracked(fd) ? sync_any(fd) : (int)syscall(SYS_fdatasync, fd); }

/* ---- names ---- */

static int name_any(char op, int from, const char *old, int to, const char *new, long call, long flags) {
    char pair[2 * PATH_MAX], target[PATH_MAX];
    absolute(from, old, pair);
    absolute(to, new, target);
    pthread_mutex_lock(&lock);
    int inside = is_inside(pair) || is_inside(target);
    int failed = (int)syscall(call, from, old, to, new, flags);
    if (!failed && inside) {
        size_t n = strlen(pair) + 1;
        strcpy(pair + n, target);
        note(op, inode_of(target), 0, pair, (uint32_t)(n + strlen(target)));
    }
    pthread_mutex_unlock(&lock);
    return failed;
}
int rename(const char *old, const char *new) { return name_any('R', AT_FDCWD, old, AT_FDCWD, new, SYS_renameat2, 0); }
int renameat(int from, const char *old, int to, const char *new) { return name_any('R', from, old, to, new, SYS_renameat2, 0); }
int link(const char *old, const char *new) { return name_any('L', AT_FDCWD, old, AT_FDCWD, new, SYS_linkat, 0); }
int linkat(int from, const char *old, int to, const char *new, int flags) { return name_any('L', from, old, to, new, SYS_linkat, flags); }

static int one_name(char op, int folder, const char *path, long call, long extra) {
    char whole[PATH_MAX];
    absolute(folder, path, whole);
    pthread_mutex_lock(&lock);
    uint64_t before = inode_of(whole);
    int failed = (int)syscall(call, folder, path, extra);
    if (!failed && is_inside(whole)) note(op, op == 'D' ? inode_of(whole) : before, 0, whole, (uint32_t)strlen(whole));
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return failed;
}
int unlink(const char *path) { return one_name('U', AT_FDCWD, path, SYS_unlinkat, 0); }
int unlinkat(int folder, const char *path, int flags) { return one_name('U', folder, path, SYS_unlinkat, flags); }
int rmdir(const char *path) { return one_name('U', AT_FDCWD, path, SYS_unlinkat, AT_REMOVEDIR); }
int mkdir(const char *path, mode_t mode) { return one_name('D', AT_FDCWD, path, SYS_mkdirat, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return one_name('D', folder, path, SYS_mkdirat, mode); }
