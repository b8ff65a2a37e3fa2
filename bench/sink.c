/* The receiver of all sides, and the judge of order: one thread, epoll, keep-alive.
 *
 *   sink PORT
 *
 * POST /d/<key>/<seq>/<due>   a delivery as the peers make it
 * POST /reset/<delay>/<n>     forget everything; from now on answer after <delay> ms
 *                             and, if n > 0, refuse the first try of about one in n
 * POST anything else          a delivery whose body carries its mark, as rps makes it
 *                             ("mark":"<key>.<seq>.<due>"); a body with "messages":[
 *                             carries many, each with its "id", and has a receipt each
 * GET  /stats                 what was seen, as JSON
 * GET  anything else          200 {}
 *
 * A key's numbers begin at 1; due is CLOCK_MONOTONIC in ns, or 0. Keys from WARM_UPS
 * on are answered and counted, not judged. It checks no signature and no If-Match.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WARM_UPS = 1000000, FDS = 4096, LATENCIES = 1 << 20, SLOTS = 1 << 22 };
enum { SEEN = 1, TRIED = 2 };
enum { FIRST_BUFFER = 1 << 16, REQUEST_MAX = 1 << 26, ID_MAX = 80, ROOM = 256 };

struct conn { char *buf; size_t len, cap; unsigned gen; };
struct text { char *at; size_t len, cap; };
struct delayed { struct delayed *next; int fd; unsigned gen; int key; uint64_t due;
                 char *text; size_t len; };

static struct conn conns[FDS];
static struct delayed *first_delayed, *last_delayed;
static struct text answer; /* what is being answered now */

static uint64_t slots[SLOTS]; /* (key << 26 | seq << 2 | flags), 0 where free */
static long n_slots;
static int32_t next_seq[WARM_UPS];
static uint16_t in_flight[WARM_UPS];
static int64_t *latencies, *sorted;
static long n_latencies, n_accepted, n_distinct, n_duplicates, n_early, n_overlaps,
    n_refused, n_malformed, n_warm_ups, n_requests;
static uint64_t t_first, t_last;
static int delay_ms, refuse_one_in;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void reset(int delay, int refuse) {
    if (n_slots) memset(slots, 0, sizeof slots);
    memset(in_flight, 0, sizeof in_flight);
    memset(next_seq, 0, sizeof next_seq);
    n_slots = n_latencies = n_accepted = n_distinct = n_duplicates = n_early = 0;
    n_overlaps = n_refused = n_malformed = n_warm_ups = n_requests = 0;
    t_first = t_last = 0;
    delay_ms = delay;
    refuse_one_in = refuse;
}

/* The slot of one number of one key; NULL when there are too many. */
static uint64_t *slot(int key, int seq) {
    uint64_t id = (uint64_t)key << 26 | (uint64_t)seq << 2;
    uint64_t at = (id >> 2) * 0x9E3779B97F4A7C15ull >> 42;
    while (slots[at] && (slots[at] & ~3ull) != id) at = (at + 1) % SLOTS;
    if (!slots[at]) {
        if (n_slots >= SLOTS / 4 * 3) return NULL;
        n_slots++;
        slots[at] = id;
    }
    return &slots[at];
}

/* Judge one delivery; true when it is accepted. */
static int deliver(int key, int seq, uint64_t due) {
    uint64_t now = now_ns(), *at;
    if (key >= WARM_UPS) { n_warm_ups++; return 1; }
    if (key < 0 || seq < 1 || seq >= 1 << 24 || !(at = slot(key, seq))) {
        n_malformed++;
        return 1;
    }
    if (in_flight[key]) n_overlaps++;
    if (refuse_one_in > 0 && !(*at & TRIED) &&
        ((unsigned)key * 2654435761u + (unsigned)seq * 40503u) / 64
            % (unsigned)refuse_one_in == 0) {
        *at |= TRIED;
        n_refused++;
        return 0;
    }
    if (!t_first) t_first = now;
    t_last = now;
    n_accepted++;
    if (*at & SEEN) { n_duplicates++; return 1; }
    *at |= SEEN | TRIED;
    n_distinct++;
    if (seq > next_seq[key] + 1) n_early++; /* a predecessor has not been accepted */
    if (seq > next_seq[key]) next_seq[key] = seq;
    if (due && n_latencies < LATENCIES) latencies[n_latencies++] = (int64_t)(now - due);
    return 1;
}

static void say(const char *s, size_t n) {
    if (answer.len + n + 1 > answer.cap) {
        answer.cap = (answer.len + n + 1) * 2;
        answer.at = realloc(answer.at, answer.cap);
    }
    memcpy(answer.at + answer.len, s, n);
    answer.len += n;
    answer.at[answer.len] = 0;
}

static void put(int fd, const char *s, size_t n) {
    while (n) {
        ssize_t w = send(fd, s, n, MSG_NOSIGNAL);
        if (w < 0) { if (errno == EAGAIN || errno == EINTR) continue; return; }
        s += w;
        n -= (size_t)w;
    }
}

static void respond(int fd, const char *status, const char *body, size_t n) {
    char head[ROOM];
    int h = snprintf(head, sizeof head,
        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
        status, n);
    answer.len = 0;
    say(head, (size_t)h);
    say(body, n);
    put(fd, answer.at, answer.len);
}

/* Answer a delivery, now or when the delay is over. */
static void settle(int fd, int key, const char *status, const char *body, size_t n) {
    if (delay_ms <= 0) { respond(fd, status, body, n); return; }
    struct delayed *d = calloc(1, sizeof *d);
    *d = (struct delayed){ NULL, fd, conns[fd].gen, key,
                           now_ns() + (uint64_t)delay_ms * 1000000ull, NULL, n };
    d->text = malloc(n + strlen(status) + 1);
    memcpy(d->text, body, n);
    strcpy(d->text + n, status);
    if (key >= 0 && key < WARM_UPS) in_flight[key]++;
    if (last_delayed) last_delayed->next = d; else first_delayed = d;
    last_delayed = d;
}

static void flush_delayed(void) {
    uint64_t now = now_ns();
    while (first_delayed && first_delayed->due <= now) {
        struct delayed *d = first_delayed;
        if (!(first_delayed = d->next)) last_delayed = NULL;
        if (d->key >= 0 && d->key < WARM_UPS && in_flight[d->key]) in_flight[d->key]--;
        if (conns[d->fd].buf && conns[d->fd].gen == d->gen)
            respond(d->fd, d->text + d->len, d->text, d->len);
        free(d->text);
        free(d);
    }
}

static void deliver_one(int fd, int key, int seq, uint64_t due) {
    char body[ROOM];
    if (!deliver(key, seq, due)) {
        settle(fd, key, "503 Service Unavailable", "{}", 2);
        return;
    }
    int n = snprintf(body, sizeof body,
        "{\"record_id\":\"S%d\",\"revision\":\"%d\"}", key, seq);
    settle(fd, key, "200 OK", body, (size_t)n);
}

/* The text of member `name` ("name":) from `at` on; where it ends, or NULL. */
static char *member(char *at, char *end, const char *name, char *text, size_t room) {
    size_t n = strlen(name);
    for (; (at = memmem(at, (size_t)(end - at), name, n)); at += n) {
        char *value = at + n;
        while (value < end && (*value == ' ' || *value == ':')) value++;
        if (value >= end || *value++ != '"' || value - at < (long)n + 2) continue;
        char *close = memchr(value, '"', (size_t)(end - value));
        if (!close || (size_t)(close - value) >= room) return NULL;
        memcpy(text, value, (size_t)(close - value));
        text[close - value] = 0;
        return close;
    }
    return NULL;
}

static int read_mark(const char *mark, int *key, int *seq, uint64_t *due) {
    unsigned long long t;
    if (sscanf(mark, "%d.%d.%llu", key, seq, &t) != 3) return 0;
    *due = t;
    return 1;
}

/* Many messages: what follows a refused one of its key is not looked at. */
static void deliver_many(int fd, char *at, char *end) {
    static struct text receipts;
    static int *refused;
    static size_t room;
    size_t n_refusals = 0, n = 0;
    char id[ID_MAX], mark[ID_MAX], line[2 * ROOM];
    int key, seq;
    uint64_t due;
    struct text saved = answer;
    answer = receipts; /* `say` writes there */
    answer.len = 0;
    say("{\"receipts\":[", 13);
    for (char *named, *marked; /* in either order */
         (named = member(at, end, "\"id\"", id, sizeof id)) &&
         (marked = member(at, end, "\"mark\"", mark, sizeof mark)) &&
         read_mark(mark, &key, &seq, &due);
         at = named > marked ? named : marked) {
        int blocked = 0;
        for (size_t i = 0; i < n_refusals; i++) blocked |= refused[i] == key;
        if (!blocked && !deliver(key, seq, due)) {
            if (n_refusals == room)
                refused = realloc(refused, sizeof *refused * (room = room * 2 + 16));
            refused[n_refusals++] = key;
            blocked = 1;
        }
        int size = blocked
            ? snprintf(line, sizeof line, "%s{\"id\":\"%s\",\"status\":503}",
                       n ? "," : "", id)
            : snprintf(line, sizeof line, "%s{\"id\":\"%s\",\"status\":200,"
                       "\"record_id\":\"S%d\",\"revision\":\"%d\"}",
                       n ? "," : "", id, key, seq);
        say(line, (size_t)size);
        n++;
    }
    say("]}", 2);
    receipts = answer;
    answer = saved;
    settle(fd, -1, "200 OK", receipts.at, receipts.len);
}

static void deliver_body(int fd, char *body, char *end) {
    char mark[ID_MAX];
    int key, seq;
    uint64_t due;
    char *many = memmem(body, (size_t)(end - body), "\"messages\"", 10);
    char *one = memmem(body, (size_t)(end - body), "\"mark\"", 6);
    if (many && (!one || many < one)) {
        deliver_many(fd, many, end);
    } else if (one && member(one, end, "\"mark\"", mark, sizeof mark) &&
               read_mark(mark, &key, &seq, &due)) {
        deliver_one(fd, key, seq, due);
    } else {
        n_malformed++;
        respond(fd, "422 Unprocessable Content", "{}", 2);
    }
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile(double q) {
    return n_latencies ? (double)sorted[(long)(q * (double)(n_latencies - 1) + .5)] / 1e6
                       : 0;
}

static void stats(int fd) {
    char body[1024];
    memcpy(sorted, latencies, (size_t)n_latencies * sizeof *latencies);
    qsort(sorted, (size_t)n_latencies, sizeof *sorted, by_value);
    int n = snprintf(body, sizeof body,
        "{\"accepted\":%ld,\"distinct\":%ld,\"duplicates\":%ld,\"out_of_order\":%ld,"
        "\"overlaps\":%ld,\"refused\":%ld,\"malformed\":%ld,\"warm_ups\":%ld,"
        "\"requests\":%ld,\"t_first\":%llu,\"t_last\":%llu,"
        "\"latencies\":%ld,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}",
        n_accepted, n_distinct, n_duplicates, n_early, n_overlaps, n_refused,
        n_malformed, n_warm_ups, n_requests, (unsigned long long)t_first,
        (unsigned long long)t_last, n_latencies,
        quantile(.5), quantile(.99), quantile(1));
    respond(fd, "200 OK", body, (size_t)n);
}

static void drop(int fd) {
    close(fd);
    free(conns[fd].buf);
    conns[fd] = (struct conn){ .gen = conns[fd].gen + 1 };
}

static void take(int fd, char *head, char *body, char *end) {
    int a = 0, b = 0;
    unsigned long long due = 0;
    if (!strncmp(head, "GET /stats", 10)) {
        stats(fd);
    } else if (sscanf(head, "POST /reset/%d/%d", &a, &b) == 2) {
        reset(a, b);
        respond(fd, "200 OK", "{}", 2);
    } else if (!strncmp(head, "POST ", 5)) {
        n_requests++;
        if (sscanf(head, "POST /d/%d/%d/%llu", &a, &b, &due) == 3)
            deliver_one(fd, a, b, due);
        else
            deliver_body(fd, body, end);
    } else {
        respond(fd, "200 OK", "{}", 2);
    }
}

static size_t length_of(char *head, char *end) {
    char *p = memchr(head, '\n', (size_t)(end - head));
    for (; p && p + 1 < end; p = memchr(p + 1, '\n', (size_t)(end - p - 1)))
        if (!strncasecmp(p + 1, "content-length:", 15)) return strtoul(p + 16, NULL, 10);
    return 0;
}

/* Handle every complete request of the buffer; false: it is unusable. */
static int consume(int fd) {
    struct conn *c = &conns[fd];
    size_t off = 0;
    for (;;) {
        char *start = c->buf + off;
        size_t here = c->len - off;
        char *blank = memmem(start, here, "\r\n\r\n", 4);
        if (!blank) break;
        size_t whole = (size_t)(blank - start) + 4 + length_of(start, blank);
        if (whole > REQUEST_MAX) return 0;
        if (here < whole) {
            if (off + whole + 1 > c->cap) {
                c->cap = off + whole + 1;
                c->buf = realloc(c->buf, c->cap);
            }
            break;
        }
        *blank = 0;
        take(fd, start, blank + 4, start + whole);
        off += whole;
    }
    if (off) memmove(c->buf, c->buf + off, c->len - off);
    c->len -= off;
    return c->len + 1 < c->cap;
}

static void hear(int fd) {
    struct conn *c = &conns[fd];
    ssize_t r = read(fd, c->buf + c->len, c->cap - 1 - c->len);
    if (r > 0) {
        c->len += (size_t)r;
        if (!consume(fd)) drop(fd);
    } else if (r == 0 || (errno != EAGAIN && errno != EINTR)) {
        drop(fd);
    }
}

static void welcome(int ep, int listener) {
    int one = 1;
    for (int c; (c = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (c >= FDS) { close(c); continue; }
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conns[c].buf = malloc(FIRST_BUFFER);
        conns[c].cap = FIRST_BUFFER;
        struct epoll_event ev = { .events = EPOLLIN, .data.fd = c };
        epoll_ctl(ep, EPOLL_CTL_ADD, c, &ev);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) { fprintf(stderr, "usage: sink PORT\n"); return 2; }
    latencies = malloc(sizeof *latencies * LATENCIES);
    sorted = malloc(sizeof *sorted * LATENCIES);
    reset(0, 0);
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)atoi(argv[1])),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) {
        perror("sink");
        return 1;
    }
    int ep = epoll_create1(0);
    struct epoll_event ev = { .events = EPOLLIN, .data.fd = listener }, got[256];
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev);
    for (;;) {
        int wait = -1;
        if (first_delayed) {
            int64_t left = (int64_t)first_delayed->due - (int64_t)now_ns();
            wait = left <= 0 ? 0 : (int)((left + 999999) / 1000000);
        }
        int n = epoll_wait(ep, got, 256, wait);
        flush_delayed();
        for (int i = 0; i < n; i++) {
            if (got[i].data.fd == listener) welcome(ep, listener);
            else if (conns[got[i].data.fd].buf) hear(got[i].data.fd);
        }
    }
}
