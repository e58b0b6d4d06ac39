// SPDX-License-Identifier: MIT
// Receives webhooks on loopback, answers 200 at once, and keeps account of them.
//
//   sink PORTS HANGING FAILING
//
// It listens on so many free ports in all. On the last HANGING of them it reads and never answers, and on FAILING
// before those it answers 500. What comes to a port that hangs is counted as `hung` and nowhere else. The ports are its
// first line: {"ports": [...]}. Then SIGUSR2 has it write a line of figures, SIGUSR1 has it forget the waits and the CPU
// time measured so far (never the counts), and SIGTERM ends it, with a last line. The wait of a message is counted from
// the timestamp that its payload carries as "ts".
//
// A message is told from its repetition by the id in its `svix-id` header and the port it came to. The set keeps 64
// bits of each: in ten million messages the chance that two share them is one in 400,000, and would show as a loss.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "measure.h"

enum { MOST_PORTS = 2000, BUFFER_BYTES = 1 << 18, EVENTS = 512, BACKLOG = 1024, FIRST_SLOTS = 1 << 21 };

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
static const char FAILURE[] = "HTTP/1.1 500 No\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno";

enum kind { SIGNALS, LISTENER, PEER };
enum manner { ANSWERS, FAILS, HANGS };

struct watched {
    enum kind kind;
    enum manner manner;
    int fd;
    uint32_t port; // that it listens on, or that its peer connected to
    size_t got;
    char buffer[]; // of a peer
};

static int epoll;
static struct histogram waits;
static double cpu_before;
static uint64_t requests, distinct, nameless, hung;

// The ids seen: open addressing, 0 is a free slot, at most half full.
static uint64_t *slots;
static size_t slot_count;

static _Noreturn void give_up(const char *why) {
    perror(why);
    exit(1);
}

static uint64_t *slot_of(uint64_t key) {
    size_t at = key & (slot_count - 1);
    while (slots[at] && slots[at] != key) at = (at + 1) & (slot_count - 1);
    return &slots[at];
}

static void grow(void) {
    uint64_t *old = slots;
    size_t old_count = slot_count;
    slot_count = old ? 2 * old_count : FIRST_SLOTS;
    slots = calloc(slot_count, sizeof *slots);
    if (!slots) give_up("calloc");
    for (size_t i = 0; i < old_count; i++)
        if (old[i]) *slot_of(old[i]) = old[i];
    free(old);
}

static void seen(const char *id, size_t length, uint32_t port) {
    uint64_t key = 0xcbf29ce484222325u ^ port; // FNV-1a, and then a finish that moves every bit into every other
    for (size_t i = 0; i < length; i++) key = (key ^ (unsigned char)id[i]) * 0x100000001b3u;
    key = (key ^ key >> 32) * 0xd6e8feb86659fd93u;
    key = (key ^ key >> 32) * 0xd6e8feb86659fd93u;
    key = (key ^ key >> 32) | (key == 0);
    uint64_t *slot = slot_of(key);
    if (*slot) return;
    *slot = key;
    if (++distinct * 2 > slot_count) grow();
}

static void watch(struct watched *w) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = w};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, w->fd, &event)) give_up("epoll_ctl");
}

static struct watched *watched(enum kind kind, int fd, uint32_t port, size_t room) {
    struct watched *w = malloc(sizeof *w + room);
    if (!w) give_up("malloc");
    *w = (struct watched){.kind = kind, .fd = fd, .port = port};
    watch(w);
    return w;
}

static uint32_t listen_somewhere(enum manner manner) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)&address, &length))
        give_up("listen");
    uint32_t port = ntohs(address.sin_port);
    watched(LISTENER, fd, port, 0)->manner = manner;
    return port;
}

static void accept_peers(const struct watched *listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        watched(PEER, fd, listener->port, BUFFER_BYTES)->manner = listener->manner;
    }
}

static void drop(struct watched *peer) {
    close(peer->fd);
    free(peer);
}

static void count_request(const char *head, const char *body, uint32_t port) {
    requests++;
    const char *id = strcasestr(head, "\r\nsvix-id:");
    if (id && id < body) {
        id += 10;
        id += strspn(id, " ");
        seen(id, strcspn(id, "\r"), port);
    } else {
        nameless++;
    }
    const char *timestamp = strstr(body, "\"ts\":");
    if (timestamp) histogram_add(&waits, now_ns() - strtoll(timestamp + 5, NULL, 10));
}

// Takes the first whole request out of the buffer; says whether there was one.
static bool take_request(struct watched *peer) {
    char *head = peer->buffer;
    head[peer->got] = 0;
    char *end = strstr(head, "\r\n\r\n");
    if (!end) return false;
    char *length = strcasestr(head, "\r\ncontent-length:");
    size_t body_bytes = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    char *body = end + 4;
    size_t whole = (size_t)(body - head) + body_bytes;
    if (peer->got < whole) return false;
    char after = head[whole];
    head[whole] = 0; // the searches end with the request
    if (peer->manner == HANGS) hung++;
    else count_request(head, body, peer->port);
    head[whole] = after;
    peer->got -= whole;
    memmove(head, head + whole, peer->got);
    return true;
}

static void serve(struct watched *peer) {
    ssize_t n = read(peer->fd, peer->buffer + peer->got, BUFFER_BYTES - 1 - peer->got);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        drop(peer);
        return;
    }
    peer->got += (size_t)n;
    bool fails = peer->manner == FAILS;
    const char *answer = fails ? FAILURE : ANSWER;
    ssize_t length = (ssize_t)(fails ? sizeof FAILURE : sizeof ANSWER) - 1;
    while (take_request(peer)) {
        if (peer->manner == HANGS) continue;
        // A socket that has no room for so few bytes belongs to a peer that does not read: let go of it.
        if (write(peer->fd, answer, (size_t)length) != length) {
            drop(peer);
            return;
        }
    }
    if (peer->got == BUFFER_BYTES - 1) drop(peer); // larger than anything that is measured here
}

static void report(void) {
    printf("{\"requests\": %llu, \"distinct\": %llu, \"duplicates\": %llu, \"nameless\": %llu, \"hung\": %llu, \"measured\": %llu, "
           "\"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"cpu_seconds\": %.4f}\n",
           (unsigned long long)requests, (unsigned long long)distinct,
           (unsigned long long)(requests - distinct - nameless), (unsigned long long)nameless, (unsigned long long)hung,
           (unsigned long long)waits.total, histogram_ms(&waits, 0.5), histogram_ms(&waits, 0.99),
           histogram_ms(&waits, 0.999), cpu_seconds() - cpu_before);
    fflush(stdout);
}

static bool obey(const struct watched *signals) {
    struct signalfd_siginfo given;
    while (read(signals->fd, &given, sizeof given) == sizeof given) {
        if (given.ssi_signo == SIGUSR1) {
            histogram_reset(&waits);
            cpu_before = cpu_seconds();
            continue;
        }
        report();
        if (given.ssi_signo != SIGUSR2) return false;
    }
    return true;
}

static void watch_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    watched(SIGNALS, signalfd(-1, &set, SFD_NONBLOCK), 0, 0);
}

int main(int count, char **arguments) {
    int ports = count == 4 ? atoi(arguments[1]) : 0, hanging = ports ? atoi(arguments[2]) : 0;
    int failing = ports ? atoi(arguments[3]) : 0;
    if (ports < 1 || ports > MOST_PORTS || hanging < 0 || failing < 0 || hanging + failing > ports) {
        fprintf(stderr, "usage: sink PORTS HANGING FAILING   (1 to %d in all)\n", MOST_PORTS);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM); // never outlive whoever measures
    epoll = epoll_create1(0);
    grow();
    watch_signals();
    for (int i = 0; i < ports; i++) {
        enum manner manner = i >= ports - hanging ? HANGS : i >= ports - hanging - failing ? FAILS : ANSWERS;
        printf(i ? ", %u" : "{\"ports\": [%u", listen_somewhere(manner));
    }
    puts("]}");
    fflush(stdout);
    for (;;) {
        struct epoll_event events[EVENTS];
        int found = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < found; i++) {
            struct watched *w = events[i].data.ptr;
            if (w->kind == SIGNALS && !obey(w)) return 0;
            if (w->kind == LISTENER) accept_peers(w);
            if (w->kind == PEER) serve(w);
        }
    }
}
