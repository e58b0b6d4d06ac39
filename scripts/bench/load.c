// SPDX-License-Identifier: MIT
// Posts messages to a service on loopback and tells how it took them.
//
//   load PORT CONNECTIONS RATE SECONDS WARM_UP PATHS_FILE TOKEN_FILE BODY_BYTES BATCH
//
// The paths, one a line, are used in turn. A message has at least BODY_BYTES (0: about 330). A BATCH of more than one
// has each request carry so many messages, for a path that takes them so; each of them must be accepted.
//
// RATE 0 is the closed loop: each connection sends its next message when the last one is answered, which finds the
// most that the service takes. Any other RATE is the open loop: messages are due at fixed times whatever the service
// does, and a wait counts from the time at which the message was *due*. A service that stands still for a second is
// then charged with every message that was due in that second, not only with those that happened to be on the wire.
//
// It writes three lines: "measuring" after the warm-up, "measured" after the seconds that count, and then, when every
// message on the wire has been answered or given up, one JSON object. Each message has a fresh idempotency key, as the
// SDKs send one, and carries the timestamp at which it was due, for the receiver at the other end.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "measure.h"

enum { MOST_CONNECTIONS = 4096, MOST_PATHS = 4096, MOST_BATCH = 1000, MOST_BODY = 1 << 20 };
enum { LINE_BYTES = 2048, ANSWER_BYTES = 16384, BATCHED_ANSWER_BYTES = 256, EVENTS = 512, SHOWN = 3 };
enum { TIMESTAMP_BYTES = 20 };
static const double MOST_SECONDS = 3600;
static const int64_t PATIENCE_NS = 30 * SECOND_NS; // for answers that are still to come at the end

struct connection {
    int fd;
    int64_t due;            // of the message on the wire
    size_t written, length; // of the request
    size_t got;             // of the answer
    char *request, *answer;
};

static struct connection *connections;
// The idle ones in the order in which they became so: all are used in turn, and none is idle for long.
static struct connection *idle[MOST_CONNECTIONS];
static int idle_first, idle_count;
static int open_count, epoll, timer, port;
static char *heads[MOST_PATHS]; // the part that all requests to a path share
static int path_count, batch;
static char *message; // the text of each, but for its timestamp
static size_t message_bytes, timestamp_at, body_bytes, request_bytes, answer_bytes;
static struct histogram waits;
static uint64_t sent, requests, accepted, bad, measured;
static bool measuring;
static uint64_t run; // makes this run's idempotency keys its own

static _Noreturn void give_up(const char *why) {
    perror(why);
    exit(1);
}

static void rest(struct connection *c) { idle[(idle_first + idle_count++) % MOST_CONNECTIONS] = c; }

static struct connection *take_idle(void) {
    struct connection *c = idle[idle_first];
    idle_first = (idle_first + 1) % MOST_CONNECTIONS;
    idle_count--;
    return c;
}

static bool forget_idle(const struct connection *c) {
    bool found = false;
    for (int i = idle_count; i > 0; i--) {
        struct connection *each = take_idle();
        if (each == c) found = true;
        else rest(each);
    }
    return found;
}

static void watch(struct connection *c, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->fd, &event)) give_up("epoll_ctl");
}

static void open_connection(struct connection *c) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) give_up("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    watch(c, EPOLLIN, EPOLL_CTL_ADD);
    rest(c);
    open_count++;
}

// A connection that broke with a message on it is not opened again: the message counts as bad, and so does the run.
static void lose(struct connection *c, const char *why) {
    if (bad++ < SHOWN) fprintf(stderr, "load: connection lost: %s\n", why);
    close(c->fd);
    c->fd = -1;
    open_count--;
}

static void push(struct connection *c) {
    while (c->written < c->length) {
        ssize_t n = write(c->fd, c->request + c->written, c->length - c->written);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD); // the rest when the socket has room again
            return;
        }
        if (n < 0) {
            lose(c, strerror(errno));
            return;
        }
        c->written += (size_t)n;
    }
}

// The timestamp has a fixed width, so that all bodies are alike: spaces in front of a number are what JSON allows.
static void prepare_message(size_t least) {
    static const char start[] = "{\"eventType\":\"order.shipped\",\"payload\":{\"ts\":";
    static const char rest_of_it[] =
        ",\"order\":\"ord_7GkQ2mZx41\",\"status\":\"shipped\","
        "\"customer\":{\"id\":90210,\"email\":\"someone@example.com\",\"tier\":\"gold\"},\"carrier\":\"Overland\","
        "\"items\":[{\"sku\":\"KX-1044\",\"quantity\":2},{\"sku\":\"PL-0031\",\"quantity\":1}],\"gift\":false,"
        "\"total\":{\"currency\":\"EUR\",\"amount\":\"129.90\"}";
    timestamp_at = sizeof start - 1;
    size_t bare = timestamp_at + TIMESTAMP_BYTES + sizeof rest_of_it - 1 + 2;
    size_t filler = least > bare + 12 ? least - bare - 12 : 0; // what stands around it has 12 bytes
    message = malloc(bare + filler + 16);
    if (!message) give_up("malloc");
    int at = sprintf(message, "%s%*s%s", start, TIMESTAMP_BYTES, "", rest_of_it);
    if (filler) {
        at += sprintf(message + at, ",\"filler\":\"");
        memset(message + at, 'x', filler);
        at += (int)filler;
        message[at++] = '"';
    }
    message_bytes = (size_t)(at + sprintf(message + at, "}}"));
    body_bytes = batch == 1 ? message_bytes : sizeof "{\"messages\":[]}" - 1 + (size_t)batch * (message_bytes + 1) - 1;
    request_bytes = LINE_BYTES + LINE_BYTES + body_bytes;
    answer_bytes = batch == 1 ? ANSWER_BYTES + message_bytes : ANSWER_BYTES + (size_t)batch * BATCHED_ANSWER_BYTES;
}

static char *put_message(char *to, int64_t due) {
    char timestamp[TIMESTAMP_BYTES + 1];
    snprintf(timestamp, sizeof timestamp, "%*lld", TIMESTAMP_BYTES, (long long)due);
    memcpy(to, message, message_bytes);
    memcpy(to + timestamp_at, timestamp, TIMESTAMP_BYTES);
    return to + message_bytes;
}

static void send_request(struct connection *c, int64_t due) {
    char *at = c->request;
    at += sprintf(at, "%sidempotency-key: auto_%016llx%016llx\r\ncontent-length: %zu\r\n\r\n",
                  heads[sent % (uint64_t)path_count], (unsigned long long)run, (unsigned long long)sent, body_bytes);
    if (batch > 1) at = stpcpy(at, "{\"messages\":[");
    for (int i = 0; i < batch; i++) {
        if (i) *at++ = ',';
        at = put_message(at, due);
    }
    if (batch > 1) at = stpcpy(at, "]}");
    c->length = (size_t)(at - c->request);
    c->due = due;
    c->written = c->got = 0;
    sent++;
    push(c);
}

// The length of the answer that begins the buffer, 0 while it is not complete.
static size_t whole_answer(struct connection *c) {
    c->answer[c->got] = 0;
    char *end = strstr(c->answer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    size_t whole = (size_t)(end - c->answer) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    return c->got >= whole ? whole : 0;
}

static void answered(struct connection *c) {
    bool ok = strncmp(c->answer, "HTTP/1.1 2", 10) == 0;
    int taken = ok && batch == 1;
    for (char *at = c->answer; ok && batch > 1 && (at = strstr(at, "\"status\":202")); at++) taken++;
    accepted += (uint64_t)taken;
    if (taken == batch) requests++;
    else if (bad++ < SHOWN) fprintf(stderr, "load: %.400s\n", c->answer);
    if (measuring) {
        measured += (uint64_t)taken;
        histogram_add(&waits, now_ns() - c->due);
    }
    c->length = c->written = c->got = 0;
    rest(c);
}

static void pull(struct connection *c) {
    ssize_t n = read(c->fd, c->answer + c->got, answer_bytes - 1 - c->got);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (c->length == 0 && forget_idle(c)) { // closed by a service that does not keep idle connections for ever: any client's lot
        close(c->fd);
        open_count--;
        open_connection(c);
        return;
    }
    if (n <= 0) {
        lose(c, n < 0 ? strerror(errno) : "closed by the service");
        return;
    }
    c->got += (size_t)n;
    if (whole_answer(c)) answered(c);
    else if (c->got == answer_bytes - 1) lose(c, "answer too long");
}

static void serve_events(int wait_ms) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, wait_ms);
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (!c) continue; // the timer: it only had to end the wait
        if (events[i].events & EPOLLOUT) {
            watch(c, EPOLLIN, EPOLL_CTL_MOD);
            push(c);
        }
        if (c->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) pull(c);
    }
}

// Sets the timer to a timestamp. It is edge-triggered and set again each time, so no read is needed.
static void wake_at(int64_t timestamp) {
    struct itimerspec at = {.it_value = {.tv_sec = timestamp / SECOND_NS, .tv_nsec = timestamp % SECOND_NS}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void read_line(FILE *file, char *line, int room) {
    if (!fgets(line, room, file)) line[0] = 0;
    line[strcspn(line, "\r\n")] = 0;
}

static void prepare(char **arguments) {
    char token[LINE_BYTES / 2], path[LINE_BYTES / 4], head[LINE_BYTES];
    FILE *file = fopen(arguments[7], "r");
    if (!file) give_up(arguments[7]);
    read_line(file, token, sizeof token);
    fclose(file);
    file = fopen(arguments[6], "r");
    if (!file) give_up(arguments[6]);
    while (read_line(file, path, sizeof path), path[0] && path_count < MOST_PATHS) {
        snprintf(head, sizeof head,
                 "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%s\r\ncontent-type: application/json\r\n"
                 "authorization: Bearer %s\r\n",
                 path, arguments[1], token);
        heads[path_count++] = strdup(head);
    }
    fclose(file);
    run = (uint64_t)now_ns() ^ (uint64_t)getpid() << 48;
    epoll = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event)) give_up("timerfd");
}

static void say(const char *line) {
    puts(line);
    fflush(stdout);
}

int main(int count, char **arguments) {
    if (count != 10) {
        fprintf(stderr,
                "usage: load PORT CONNECTIONS RATE SECONDS WARM_UP PATHS_FILE TOKEN_FILE BODY_BYTES BATCH\n");
        return 2;
    }
    int wanted = atoi(arguments[2]);
    port = atoi(arguments[1]);
    double rate = atof(arguments[3]), seconds = atof(arguments[4]), warm_up = atof(arguments[5]);
    long body = atol(arguments[8]);
    batch = atoi(arguments[9]);
    if (body < 0 || body > MOST_BODY || batch < 1 || batch > MOST_BATCH) {
        fprintf(stderr, "load: at most %d bytes and %d messages\n", MOST_BODY, MOST_BATCH);
        return 2;
    }
    if (wanted < 1 || wanted > MOST_CONNECTIONS || rate < 0 || seconds <= 0 || seconds + warm_up > MOST_SECONDS) {
        fprintf(stderr, "load: 1 to %d connections, at most %.0f seconds\n", MOST_CONNECTIONS, MOST_SECONDS);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM); // never outlive whoever measures
    prepare(arguments);
    prepare_message((size_t)body);
    if (path_count == 0) {
        fprintf(stderr, "load: no path\n");
        return 2;
    }
    connections = calloc((size_t)wanted, sizeof *connections);
    for (int i = 0; i < wanted; i++) {
        connections[i].request = malloc(request_bytes);
        connections[i].answer = malloc(answer_bytes);
        open_connection(&connections[i]);
    }

    int64_t start = now_ns(), warm = start + (int64_t)(warm_up * 1e9), end = warm + (int64_t)(seconds * 1e9);
    uint64_t due_count = 0; // messages that have been due so far, in the open loop
    double cpu = 0;
    for (int64_t now = start; now < end && open_count; now = now_ns()) {
        if (!measuring && now >= warm) {
            measuring = true;
            cpu = cpu_seconds();
            say("measuring");
        }
        if (rate == 0) {
            while (idle_count) send_request(take_idle(), now_ns());
            serve_events(100);
            continue;
        }
        int64_t due = start + (int64_t)((double)due_count * 1e9 / rate);
        while (due <= now && idle_count) {
            send_request(take_idle(), due);
            due = start + (int64_t)((double)++due_count * 1e9 / rate);
        }
        if (idle_count) wake_at(due);
        serve_events(100);
    }
    double lasted = (double)(now_ns() - warm) / 1e9;
    cpu = cpu_seconds() - cpu;
    measuring = false;
    say("measured");
    uint64_t scheduled = rate == 0 ? sent : (uint64_t)((double)(end - start) / 1e9 * rate);
    for (int64_t last = now_ns() + PATIENCE_NS; idle_count < open_count && now_ns() < last;) serve_events(100);
    printf("{\"accepted\": %llu, \"requests\": %llu, \"sent\": %llu, \"bad\": %llu, \"unanswered\": %d, \"unsent\": %llu, "
           "\"measured\": %llu, \"per_second\": %.1f, \"p50\": %.2f, \"p99\": %.2f, \"p999\": %.2f, "
           "\"cpu_ms\": %.5f}\n",
           (unsigned long long)accepted, (unsigned long long)requests, (unsigned long long)sent, (unsigned long long)bad, open_count - idle_count,
           (unsigned long long)(scheduled > sent ? scheduled - sent : 0), (unsigned long long)measured,
           (double)measured / lasted, histogram_ms(&waits, 0.5), histogram_ms(&waits, 0.99),
           histogram_ms(&waits, 0.999), measured ? cpu * 1e3 / (double)measured : 0);
    return 0;
}
