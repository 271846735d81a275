/* An HTTP/1.1 keep-alive target that logs the truth: when a request reached this machine, when it was read, and when
 * its answer was handed to the kernel.
 *
 *   cc -O2 -o target target.c -lm && ./target --log truth.bin --service-ms 5 --spread 0.5
 *
 * One thread, one epoll. An answer is due `service` after its request was read; service times are lognormal with
 * the given median and spread (sigma), from a seeded generator. A timerfd wakes the loop at the exact due time;
 * epoll's time-out has a resolution of 1 ms. Stalls are regular: in stall k, the process sleeps for `stall` seconds
 * from start + (k + 1/2) * every, as in a long garbage collection.
 *
 * Arrival times come from the kernel (SO_TIMESTAMPNS), so they do not depend on the scheduling of this process. The
 * log uses CLOCK_REALTIME, which other processes can compare; waits use CLOCK_MONOTONIC. The log is an array of
 * `struct entry`; benchmarks/target.py reads it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_SIZE = 8192, EVENTS = 256, LOG_ENTRIES = 1024, SECOND = 1000000000 };
enum kind { REQUEST = 0, STALL = 1 };

struct entry {          /* 40 bytes, little endian on every machine this runs on */
    int64_t arrived_ns; /* or the start of a stall */
    int64_t read_ns;
    int64_t answered_ns; /* 0 for no answer; or the end of a stall */
    int64_t service_ns;
    int32_t connection;
    int16_t status; /* 0 for a reset */
    int16_t kind;
};

struct connection {
    int fd;
    int32_t number; /* distinguishes it from later connections with the same descriptor */
    int asks_to_close; /* the request that is being read */
    int is_closing;    /* after the last answer */
    int waits_for_room;
    int64_t last_due_ns;
    uint64_t to_skip; /* rest of a request's body */
    int is_in_body;
    size_t held;
    char head[HEAD_SIZE];
    char *unsent;
    size_t unsent_size;
};

struct answer { /* a pending answer; `due_ns` is monotonic */
    int64_t due_ns;
    uint64_t order;
    int fd;
    struct entry entry;
    int is_last;
};

static struct options {
    double service_ms, spread, stall_s, every_s, errors, resets, for_s;
    uint64_t seed;
    const char *log;
} options = {.seed = 1, .for_s = 3600, .every_s = 10};

static struct connection **connections;
static int connections_size;
static struct answer *heap;
static size_t heap_size, heap_room;
static uint64_t orders;
static int32_t accepted;
static struct entry logged[LOG_ENTRIES];
static size_t logged_size;
static int log_fd = -1, poll_fd, timer_fd;
static int64_t armed_ns, next_stall_ns, end_ns;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * (int64_t)SECOND + now.tv_nsec;
}

/* --- seeded random numbers: splitmix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195) --- */

static uint64_t random_bits(void) {
    uint64_t z = (options.seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double random_share(void) { return ((random_bits() >> 11) + 0.5) * 0x1p-53; }

static int64_t random_service_ns(void) {
    if (options.service_ms <= 0) return 0;
    double normal = options.spread > 0 ? sqrt(-2 * log(random_share())) * cos(2 * M_PI * random_share()) : 0;
    return (int64_t)(options.service_ms * 1e6 * exp(options.spread * normal));
}

/* --- the log --- */

static void flush_log(void) {
    const char *from = (const char *)logged;
    size_t left = logged_size * sizeof *logged;
    while (left && log_fd >= 0) {
        ssize_t written = write(log_fd, from, left);
        if (written < 0 && errno != EINTR) die("log");
        if (written > 0) from += written, left -= (size_t)written;
    }
    logged_size = 0;
}

static void log_entry(const struct entry *entry) {
    logged[logged_size++] = *entry;
    if (logged_size == LOG_ENTRIES) flush_log();
}

/* --- pending answers: a binary heap by due time, then by order --- */

static int is_before(const struct answer *a, const struct answer *b) {
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void push(const struct answer *answer) {
    if (heap_size == heap_room) {
        heap_room = heap_room ? 2 * heap_room : 4096;
        heap = realloc(heap, heap_room * sizeof *heap);
        if (!heap) die("memory");
    }
    size_t at = heap_size++;
    while (at && is_before(answer, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = *answer;
}

static struct answer pop(void) {
    struct answer first = heap[0], last = heap[--heap_size];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < heap_size) {
        if (child + 1 < heap_size && is_before(&heap[child + 1], &heap[child])) child++;
        if (!is_before(&heap[child], &last)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

static void arm_timer(void) {
    int64_t due_ns = end_ns;
    if (next_stall_ns && next_stall_ns < due_ns) due_ns = next_stall_ns;
    if (heap_size && heap[0].due_ns < due_ns) due_ns = heap[0].due_ns;
    if (due_ns == armed_ns) return;
    struct itimerspec at = {.it_value = {due_ns / SECOND, due_ns % SECOND}};
    if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL)) die("timerfd_settime");
    armed_ns = due_ns;
}

/* --- connections --- */

static void watch(struct connection *connection, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.fd = connection->fd};
    if (epoll_ctl(poll_fd, operation, connection->fd, &event)) die("epoll_ctl");
}

static void drop(struct connection *connection, int with_reset) {
    if (with_reset) {
        struct linger at_once = {.l_onoff = 1, .l_linger = 0};
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    connections[connection->fd] = NULL;
    close(connection->fd);
    free(connection->unsent);
    free(connection);
}

static void accept_all(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= connections_size) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection) die("memory");
        connection->fd = fd;
        connection->number = accepted++;
        connections[fd] = connection;
        watch(connection, EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* Sends as much as the socket takes, and stores the rest; returns -1 when the connection is closed. */
static int send_or_keep(struct connection *connection, const char *data, size_t size) {
    if (!connection->unsent_size) {
        ssize_t sent = send(connection->fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return -1;
        if (sent > 0) data += sent, size -= (size_t)sent;
        if (!size) return 0;
    }
    char *grown = realloc(connection->unsent, connection->unsent_size + size);
    if (!grown) die("memory");
    memcpy(grown + connection->unsent_size, data, size);
    connection->unsent = grown;
    connection->unsent_size += size;
    if (!connection->waits_for_room) watch(connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    connection->waits_for_room = 1;
    return 0;
}

static int send_kept(struct connection *connection) {
    ssize_t sent = send(connection->fd, connection->unsent, connection->unsent_size, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
    connection->unsent_size -= (size_t)sent;
    memmove(connection->unsent, connection->unsent + sent, connection->unsent_size);
    if (!connection->unsent_size) {
        watch(connection, EPOLLIN, EPOLL_CTL_MOD);
        connection->waits_for_room = 0;
        if (connection->is_closing) return -1;
    }
    return 0;
}

static void answer_now(struct answer *answer) {
    static const char good[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n"
                               "{\"status\":\"ok\",\"price\":1.1}";
    static const char bad[] = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
                              "Content-Length: 27\r\n\r\n{\"status\":\"no\",\"price\":0.0}";
    struct connection *connection = connections[answer->fd];
    if (connection && connection->number == answer->entry.connection) {
        int is_good = answer->entry.status == 200, is_reset = answer->entry.status == 0;
        int gone = is_reset ||
                   send_or_keep(connection, is_good ? good : bad, is_good ? sizeof good - 1 : sizeof bad - 1) < 0;
        if (!gone || is_reset) answer->entry.answered_ns = clock_ns(CLOCK_REALTIME);
        if (answer->is_last) connection->is_closing = 1;
        if (gone || (connection->is_closing && !connection->unsent_size)) drop(connection, is_reset);
    }
    log_entry(&answer->entry);
}

static void take_request(struct connection *connection, int64_t arrived_ns, int64_t read_ns) {
    int64_t service_ns = random_service_ns(), now_ns = clock_ns(CLOCK_MONOTONIC);
    int16_t status = 200;
    if (options.errors > 0 && random_share() < options.errors) status = 500;
    if (options.resets > 0 && random_share() < options.resets) status = 0;
    struct answer answer = {
        .due_ns = now_ns + service_ns,
        .order = orders++,
        .fd = connection->fd,
        .entry = {arrived_ns, read_ns, 0, service_ns, connection->number, status, REQUEST},
        .is_last = connection->asks_to_close,
    };
    if (answer.due_ns < connection->last_due_ns) answer.due_ns = connection->last_due_ns; /* keeps the order of answers */
    connection->last_due_ns = answer.due_ns;
    push(&answer);
}

/* Finds a header's value in a head that ends with an empty line. */
static const char *header(const char *head, const char *end, const char *name) {
    size_t length = strlen(name);
    for (const char *line = head; line < end; line++) {
        line = memchr(line, '\n', (size_t)(end - line));
        if (!line) return NULL;
        if ((size_t)(end - line) > length + 1 && !strncasecmp(line + 1, name, length)) return line + 1 + length;
    }
    return NULL;
}

/* Handles all complete requests in the buffer; returns -1 when it is not HTTP. */
static int take_requests(struct connection *connection, int64_t arrived_ns, int64_t read_ns) {
    size_t from = 0;
    for (;;) {
        if (connection->is_in_body) { /* skip the body */
            size_t held = connection->held - from;
            size_t skipped = held < connection->to_skip ? held : (size_t)connection->to_skip;
            from += skipped;
            connection->to_skip -= skipped;
            if (connection->to_skip) break;
            connection->is_in_body = 0;
            take_request(connection, arrived_ns, read_ns);
        }
        const char *head = connection->head + from;
        const char *blank = memmem(head, connection->held - from, "\r\n\r\n", 4);
        if (!blank) break;
        if (header(head, blank, "transfer-encoding:")) return -1;
        const char *length = header(head, blank, "content-length:");
        const char *keep = header(head, blank, "connection:");
        while (keep && *keep == ' ') keep++;
        connection->asks_to_close = keep && !strncasecmp(keep, "close", 5);
        connection->to_skip = length ? strtoull(length, NULL, 10) : 0;
        connection->is_in_body = 1;
        from = (size_t)(blank + 4 - connection->head);
    }
    connection->held -= from;
    memmove(connection->head, connection->head + from, connection->held);
    return connection->held == HEAD_SIZE ? -1 : 0;
}

/* Reads the available bytes; returns -1 when the connection is closed. */
static int read_connection(struct connection *connection) {
    for (;;) {
        char control[CMSG_SPACE(sizeof(struct timespec))];
        size_t room = HEAD_SIZE - connection->held;
        struct iovec into = {connection->head + connection->held, room};
        struct msghdr message = {
            .msg_iov = &into, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t size = recvmsg(connection->fd, &message, 0);
        if (size < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
        if (size == 0) return -1;
        int64_t read_ns = clock_ns(CLOCK_REALTIME), arrived_ns = read_ns;
        struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
        if (stamp && stamp->cmsg_level == SOL_SOCKET && stamp->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(stamp), sizeof at);
            arrived_ns = at.tv_sec * (int64_t)SECOND + at.tv_nsec;
        }
        connection->held += (size_t)size;
        if (take_requests(connection, arrived_ns, read_ns)) return -1;
        if ((size_t)size < room) return 0;
    }
}

static void serve(int fd, uint32_t events) {
    struct connection *connection = connections[fd];
    if (!connection) return;
    int gone = 0;
    if (events & EPOLLOUT) gone = send_kept(connection);
    if (!gone && events & (EPOLLIN | EPOLLHUP | EPOLLERR)) gone = read_connection(connection);
    if (gone) drop(connection, 0);
}

/* --- timers --- */

static void stall_if_due(void) {
    if (!next_stall_ns || clock_ns(CLOCK_MONOTONIC) < next_stall_ns) return;
    int64_t until_ns = next_stall_ns + (int64_t)(options.stall_s * SECOND);
    struct timespec until = {until_ns / SECOND, until_ns % SECOND};
    struct entry stall = {.arrived_ns = clock_ns(CLOCK_REALTIME), .connection = -1, .kind = STALL};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) continue;
    stall.answered_ns = clock_ns(CLOCK_REALTIME);
    log_entry(&stall);
    next_stall_ns += (int64_t)(options.every_s * SECOND);
}

static void answer_what_is_due(void) {
    while (heap_size && heap[0].due_ns <= clock_ns(CLOCK_MONOTONIC)) {
        struct answer answer = pop();
        answer_now(&answer);
    }
}

static void read_options(int count, char **arguments) {
    static const struct option known[] = {
        {"service-ms", required_argument, 0, 'm'}, {"spread", required_argument, 0, 'p'},
        {"stall", required_argument, 0, 's'},      {"every", required_argument, 0, 'n'},
        {"errors", required_argument, 0, 'e'},     {"resets", required_argument, 0, 'r'},
        {"seed", required_argument, 0, 'd'},       {"log", required_argument, 0, 'l'},
        {"for", required_argument, 0, 'f'},        {0, 0, 0, 0}};
    int chosen;
    while ((chosen = getopt_long(count, arguments, "", known, NULL)) != -1) {
        switch (chosen) {
            case 'm': options.service_ms = atof(optarg); break;
            case 'p': options.spread = atof(optarg); break;
            case 's': options.stall_s = atof(optarg); break;
            case 'n': options.every_s = atof(optarg); break;
            case 'e': options.errors = atof(optarg); break;
            case 'r': options.resets = atof(optarg); break;
            case 'd': options.seed = strtoull(optarg, NULL, 10); break;
            case 'l': options.log = optarg; break;
            case 'f': options.for_s = atof(optarg); break;
            default:
                fprintf(stderr, "usage: target [--log FILE] [--service-ms MS] [--spread SIGMA] [--stall S] [--every S]\n"
                                "  [--errors SHARE] [--resets SHARE] [--seed N] [--for SECONDS]\n");
                exit(2);
        }
    }
    if (options.stall_s > 0 && options.every_s <= options.stall_s) {
        fprintf(stderr, "--every must be more than --stall, but is %g\n", options.every_s);
        exit(2);
    }
}

static void make_ready(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
    connections_size = files.rlim_cur > 65536 ? 65536 : (int)files.rlim_cur;
    connections = calloc((size_t)connections_size, sizeof *connections);
    if (!connections) die("memory");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1);
    if (options.log && (log_fd = open(options.log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) < 0) die("log");
    struct sched_param first = {.sched_priority = 1};
    const char *how = "real-time priority";
    if (sched_setscheduler(0, SCHED_FIFO, &first)) {
        how = "raised priority";
        if (setpriority(PRIO_PROCESS, 0, -20)) how = "normal priority";
    }
    fprintf(stderr, "%s\n", how);
}

static int listen_on_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &size))
        die("listen");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

static void poll_for(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    make_ready();
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int signals = signalfd(-1, &ends, SFD_NONBLOCK | SFD_CLOEXEC);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (signals < 0 || poll_fd < 0 || timer_fd < 0) die("set-up");
    int listener = listen_on_loopback();
    poll_for(signals);
    poll_for(timer_fd);
    poll_for(listener);
    int64_t start_ns = clock_ns(CLOCK_MONOTONIC);
    end_ns = start_ns + (int64_t)(options.for_s * SECOND);
    if (options.stall_s > 0) next_stall_ns = start_ns + (int64_t)(options.every_s / 2 * SECOND);
    int is_over = 0;
    while (!is_over && clock_ns(CLOCK_MONOTONIC) < end_ns) {
        struct epoll_event events[EVENTS];
        arm_timer();
        int ready = epoll_wait(poll_fd, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) die("epoll_wait");
        stall_if_due();
        for (int number = 0; number < ready; number++) {
            int fd = events[number].data.fd;
            uint64_t expirations;
            if (fd == signals) is_over = 1;
            else if (fd == timer_fd) (void)!read(timer_fd, &expirations, sizeof expirations), armed_ns = 0;
            else if (fd == listener) accept_all(listener);
            else serve(fd, events[number].events);
            answer_what_is_due();
        }
        answer_what_is_due();
    }
    for (size_t number = 0; number < heap_size; number++) log_entry(&heap[number].entry);
    flush_log();
    return 0;
}
