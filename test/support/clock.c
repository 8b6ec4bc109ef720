/*
 * A wall clock that a test steps: preloaded, it adds the whole seconds in the file STEPPED_CLOCK to the time of day. The steady clock
 * stays as it is, as with a machine whose clock is set. libfaketime 0.9.10 would do, but redis-server hangs with it: jemalloc asks for the
 * time before libfaketime is ready (https://github.com/wolfcw/libfaketime/issues/130). Here nothing is looked up for reading the clock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int real(clockid_t id, struct timespec *now) { return syscall(SYS_clock_gettime, id, now); }

/* Read again after a tenth of a second. */
static long step(void) {
    static long seconds, until;
    struct timespec now;
    real(CLOCK_MONOTONIC, &now);
    long ms = now.tv_sec * 1000 + now.tv_nsec / 1000000;
    if (ms >= __atomic_load_n(&until, __ATOMIC_RELAXED)) {
        const char *file = getenv("STEPPED_CLOCK");
        char text[32] = "";
        int fd = file == NULL ? -1 : syscall(SYS_openat, AT_FDCWD, file, O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            if (syscall(SYS_read, fd, text, sizeof text - 1) < 0) text[0] = 0;
            syscall(SYS_close, fd);
        }
        __atomic_store_n(&seconds, strtol(text, NULL, 10), __ATOMIC_RELAXED);
        __atomic_store_n(&until, ms + 100, __ATOMIC_RELAXED);
    }
    return __atomic_load_n(&seconds, __ATOMIC_RELAXED);
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int result = real(id, now);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += step();
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec time;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &time);
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where != NULL) *where = now.tv_sec;
    return now.tv_sec;
}

/* The kernel waits by its own clock. A moment of the steady clock, which counts from the start of the machine, is told by its size. */
static struct timespec by_kernel(const struct timespec *moment) {
    struct timespec real = *moment;
    if (real.tv_sec > 1000000000) real.tv_sec -= step();
    return real;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *moment) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec real = by_kernel(moment);
    if (next == NULL) next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    return next(cond, mutex, &real);
}

int sem_timedwait(sem_t *semaphore, const struct timespec *moment) {
    static int (*next)(sem_t *, const struct timespec *);
    struct timespec real = by_kernel(moment);
    if (next == NULL) next = dlsym(RTLD_NEXT, "sem_timedwait");
    return next(semaphore, &real);
}
