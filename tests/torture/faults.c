/* Counts the calls that change files below watched folders, and at the n-th of them ends, stops or fails the process.
 *
 * Loaded by LD_PRELOAD; asleep until torture_arm() is called. Calls of the C library only: what a statically linked
 * program does, or stdio inside the C library, is not seen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, RENAME = 4, UNLINK = 8, MKDIR = 16, TRUNCATE = 32, CREATE = 64, LINK = 128 };
enum { ASLEEP, COUNT, KILL, TEAR, STOP, FAIL, FAIL_ON, SIGNAL };

static char watched[4][PATH_MAX];
static int watched_count;
static int mode, error_number, kinds;
static long target;
static atomic_long counted;                     /* of the kinds asked for */
static atomic_long counted_of[8];               /* of each kind */
static atomic_int fired;
static int touched_log = -1;                    /* file descriptor of the log of what is outside, or -1 */
static char allowed[8][PATH_MAX];
static int allowed_count;

static int below(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int is_watched(const char *path) {
    for (int i = 0; i < watched_count; i++)
        if (below(path, watched[i])) return 1;
    return 0;
}

static int path_of_fd(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return path[0] == '/';
}

static void absolute(int folder, const char *path, char *out) {
    char base[PATH_MAX] = "";
    if (path[0] == '/') { snprintf(out, PATH_MAX, "%s", path); return; }
    if (folder == AT_FDCWD) { if (!getcwd(base, sizeof base)) base[0] = 0; }
    else if (!path_of_fd(folder, base)) base[0] = 0;
    if (snprintf(out, PATH_MAX, "%.2000s/%.2000s", base, path) < 0) out[0] = 0;
}

static void note(const char *word, const char *path) {
    if (touched_log < 0) return;
    for (int i = 0; i < allowed_count; i++)
        if (below(path, allowed[i])) return;
    char line[PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s %s\n", word, path);
    if (length > 0) syscall(SYS_write, touched_log, line, (size_t)length);
}

/* 0: go on; 1: fail with errno set; 2: write half of it, then end. */
static int met(int kind, const char *path) {
    if (mode == ASLEEP || !is_watched(path)) return 0;
    atomic_fetch_add(&counted_of[__builtin_ctz(kind)], 1);
    if (!(kind & kinds)) return 0;
    long number = atomic_fetch_add(&counted, 1) + 1;
    if (mode == FAIL_ON ? number < target : number != target) return 0;
    switch (mode) {
    case KILL: syscall(SYS_kill, getpid(), SIGKILL); for (;;) pause();
    case TEAR: if (kind == WRITE) return 2; syscall(SYS_kill, getpid(), SIGKILL); for (;;) pause();
    case SIGNAL: syscall(SYS_kill, getpid(), error_number); return 0;
    case STOP: syscall(SYS_kill, getpid(), SIGSTOP); return 0;
    case FAIL: case FAIL_ON: atomic_fetch_add(&fired, 1); errno = error_number; return 1;
    }
    return 0;
}

static int met_fd(int kind, int fd) {
    char path[PATH_MAX];
    if (mode == ASLEEP || fd < 3 || !path_of_fd(fd, path)) return 0;
    return met(kind, path);
}

/* --- what a test calls ------------------------------------------------------------------------------------------- */

void torture_watch(const char *folder) {
    if (watched_count < 4) snprintf(watched[watched_count++], PATH_MAX, "%s", folder);
}

void torture_arm(int how, long number, int error, int which) {
    target = number; error_number = error; kinds = which;
    atomic_store(&counted, 0); atomic_store(&fired, 0);
    for (int i = 0; i < 8; i++) atomic_store(&counted_of[i], 0);
    mode = how;
}

long torture_counted(int which) {
    long sum = 0;
    for (int i = 0; i < 8; i++)
        if (which & (1 << i)) sum += atomic_load(&counted_of[i]);
    return sum;
}
int torture_fired(void) { return atomic_load(&fired); }
void torture_allow(const char *folder) {
    if (allowed_count < 8) snprintf(allowed[allowed_count++], PATH_MAX, "%s", folder);
}
void torture_log_others(int fd) { touched_log = fd; }

/* --- the calls ---------------------------------------------------------------------------------------------------- */

#define REAL(name) static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define TORN(half) do { half; fsync_now(fd); syscall(SYS_kill, getpid(), SIGKILL); for (;;) pause(); } while (0)

static void fsync_now(int fd) { syscall(SYS_fsync, fd); }

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    switch (met_fd(WRITE, fd)) {
    case 1: return -1;
    case 2: TORN(if (size > 1) real(fd, data, size / 2));
    }
    return real(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(pwrite);
    switch (met_fd(WRITE, fd)) {
    case 1: return -1;
    case 2: TORN(if (size > 1) real(fd, data, size / 2, at));
    }
    return real(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    switch (met_fd(WRITE, fd)) {
    case 1: return -1;
    case 2: TORN(if (size > 1) real(fd, data, size / 2, at));
    }
    return real(fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    switch (met_fd(WRITE, fd)) {
    case 1: return -1;
    case 2: TORN(if (count > 1) real(fd, parts, count / 2));
    }
    return real(fd, parts, count);
}

ssize_t sendfile64(int fd, int from, off64_t *at, size_t size);
ssize_t sendfile64(int fd, int from, off64_t *at, size_t size) {
    REAL(sendfile64);
    switch (met_fd(WRITE, fd)) {
    case 1: return -1;
    case 2: TORN(if (size > 1) real(fd, from, at, size / 2));
    }
    return real(fd, from, at, size);
}

ssize_t sendfile(int fd, int from, off_t *at, size_t size);
ssize_t sendfile(int fd, int from, off_t *at, size_t size) { return sendfile64(fd, from, at, size); }

ssize_t copy_file_range(int from, off64_t *from_at, int fd, off64_t *at, size_t size, unsigned flags) {
    REAL(copy_file_range);
    switch (met_fd(WRITE, fd)) {
    case 1: return -1;
    case 2: TORN(if (size > 1) real(from, from_at, fd, at, size / 2, flags));
    }
    return real(from, from_at, fd, at, size, flags);
}

int fsync(int fd) { REAL(fsync); return met_fd(SYNC, fd) ? -1 : real(fd); }
int fdatasync(int fd) { REAL(fdatasync); return met_fd(SYNC, fd) ? -1 : real(fd); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); return met_fd(TRUNCATE, fd) ? -1 : real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); return met_fd(TRUNCATE, fd) ? -1 : real(fd, size); }
int posix_fallocate(int fd, off_t at, off_t size) {
    REAL(posix_fallocate);
    return met_fd(TRUNCATE, fd) ? error_number : real(fd, at, size);
}

static int met_path(int kind, const char *word, int folder, const char *path) {
    char whole[PATH_MAX];
    if (mode == ASLEEP && touched_log < 0) return 0;
    absolute(folder, path, whole);
    note(word, whole);
    return met(kind, whole);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    return met_path(RENAME, "rename", AT_FDCWD, to) ? -1 : real(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
    REAL(renameat);
    return met_path(RENAME, "rename", b, to) ? -1 : real(a, from, b, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    REAL(renameat2);
    return met_path(RENAME, "rename", b, to) ? -1 : real(a, from, b, to, flags);
}
int link(const char *from, const char *to) {
    REAL(link);
    return met_path(LINK, "link", AT_FDCWD, to) ? -1 : real(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    REAL(linkat);
    return met_path(LINK, "link", b, to) ? -1 : real(a, from, b, to, flags);
}
int unlink(const char *path) { REAL(unlink); return met_path(UNLINK, "unlink", AT_FDCWD, path) ? -1 : real(path); }
int unlinkat(int folder, const char *path, int flags) {
    REAL(unlinkat);
    return met_path(UNLINK, "unlink", folder, path) ? -1 : real(folder, path, flags);
}
int rmdir(const char *path) { REAL(rmdir); return met_path(UNLINK, "rmdir", AT_FDCWD, path) ? -1 : real(path); }
int mkdir(const char *path, mode_t rights) {
    REAL(mkdir);
    return met_path(MKDIR, "mkdir", AT_FDCWD, path) ? -1 : real(path, rights);
}
int mkdirat(int folder, const char *path, mode_t rights) {
    REAL(mkdirat);
    return met_path(MKDIR, "mkdir", folder, path) ? -1 : real(folder, path, rights);
}

static int met_open(int folder, const char *path, int flags) {
    if (mode == ASLEEP && touched_log < 0) return 0;
    if (!(flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR)) || (flags & O_TMPFILE) == O_TMPFILE) return 0;
    char whole[PATH_MAX];
    absolute(folder, path, whole);
    note("open", whole);
    return flags & (O_CREAT | O_TRUNC) ? met(CREATE, whole) : 0;
}

#define RIGHTS mode_t rights = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); rights = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) {
    REAL(open);
    RIGHTS
    return met_open(AT_FDCWD, path, flags) ? -1 : real(path, flags, rights);
}
int open64(const char *path, int flags, ...) {
    REAL(open64);
    RIGHTS
    return met_open(AT_FDCWD, path, flags) ? -1 : real(path, flags, rights);
}
int openat(int folder, const char *path, int flags, ...) {
    REAL(openat);
    RIGHTS
    return met_open(folder, path, flags) ? -1 : real(folder, path, flags, rights);
}
int openat64(int folder, const char *path, int flags, ...) {
    REAL(openat64);
    RIGHTS
    return met_open(folder, path, flags) ? -1 : real(folder, path, flags, rights);
}

/* Programs that are started; the list of what is allowed holds no program. */
int execve(const char *path, char *const arguments[], char *const environment[]) {
    REAL(execve);
    if (touched_log >= 0) note("exec", path);
    return real(path, arguments, environment);
}
