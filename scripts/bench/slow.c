// SPDX-License-Identifier: MIT
// A library to load before others (LD_PRELOAD): every wait for the disk takes SLOW_DISK_US microseconds more.
//
// It does what was asked first, so nothing is less durable than without it.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

typedef int (*sync_call)(int);

static int slowly(const char *name, int fd) {
    sync_call real = (sync_call)dlsym(RTLD_NEXT, name);
    int result = real(fd);
    const char *set = getenv("SLOW_DISK_US");
    long us = set ? atol(set) : 0;
    struct timespec wait = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    if (us > 0) nanosleep(&wait, NULL);
    return result;
}

int fsync(int fd) { return slowly("fsync", fd); }

int fdatasync(int fd) { return slowly("fdatasync", fd); }
