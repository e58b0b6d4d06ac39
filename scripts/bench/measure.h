// SPDX-License-Identifier: MIT
// What both programs measure with: a clock that never jumps, and a histogram of waits.
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SECOND_NS 1000000000LL

// Waits are counted in steps of 10 us up to 20 s; whatever took longer counts as 20 s.
enum { STEP_NS = 10000, STEPS = 2000000 };

struct histogram {
    uint32_t counts[STEPS];
    uint64_t total;
};

static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND_NS + t.tv_nsec;
}

// CPU seconds of this process, those that the kernel spent for it included.
static inline double cpu_seconds(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static inline void histogram_reset(struct histogram *h) { memset(h, 0, sizeof *h); }

static inline void histogram_add(struct histogram *h, int64_t wait_ns) {
    int64_t step = wait_ns / STEP_NS;
    if (step < 0) step = 0;
    if (step >= STEPS) step = STEPS - 1;
    h->counts[step]++;
    h->total++;
}

// The wait in ms that a part of all waits (0.99 of them, say) did not exceed; -1 when there were none.
static inline double histogram_ms(const struct histogram *h, double part) {
    if (h->total == 0) return -1;
    uint64_t wanted = (uint64_t)((double)h->total * part), seen = 0;
    for (int step = 0; step < STEPS; step++) {
        seen += h->counts[step];
        if (seen > wanted || seen == h->total) return (step + 1) * (double)STEP_NS / 1e6;
    }
    return -1;
}

#endif
