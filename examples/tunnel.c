/* A tunnel that is not Tor's: two TCP connections, its paths, carry one file from one process to another.
 *
 *     tunnel exit   [-a PORT] [-b PORT] FILE    waits for a client, and writes what comes to FILE
 *     tunnel client [-a PORT] [-b PORT] FILE    sends FILE to the exit
 *
 * It shows what a program with paths, windows and a poll(2) loop of its own needs: frames, reports of what each path
 * can take, drains, the deadline, full sockets, an orderly end. A real tunnel also encrypts. A path is a circuit of one
 * hop. A frame is the length of its body (2 bytes), a command (1), a stream id (2), and the body. */
#include <arpa/inet.h>
#include <circflow.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    PATHS = 2,
    HEAD = 5,                   /* Bytes of a frame before its body. */
    STREAM = 1,                 /* The stream of the file. It is always open. */
    ACK = 200, ACK_EVERY = 16,  /* Our own command, for one path and so not for circflow. It is for so many DATA. */
    CWND_FIRST = 64, CWND_MIN = 2 * ACK_EVERY, CWND_MAX = 1024,
    WAIT_MIN = 8, WAIT_MAX = 32, /* Frames that should wait on a path: with fewer it idles, with more it is slow. */
    FULL = 1 << 16,             /* Bytes to write that make a path full. It has room again at half of them. */
    OUT_CAP = FULL + (1 << 14), IN_CAP = 1 << 15, /* What is not DATA goes to a full path, too. It is little. */
    ARRIVALS = 32,              /* Messages that are fed in one call. */
};

/* One connection, and our congestion control of it. Its circuit has the tag index + 1. */
static struct path {
    int fd; /* -1 when it is closed. */
    int is_listener, is_full, is_past_start;
    circflow_circuit_id circuit; /* Zero when there is none. */
    uint64_t frames; /* DATA: sent at the client, received at the exit. */
    uint64_t cwnd, inflight, rtt_ns, rtt_min_ns, sent_ns[CWND_MAX];
    size_t in_len, out_len;
    uint8_t in[IN_CAP], out[OUT_CAP];
} paths[PATHS];

static int is_client, may_send, is_done; /* Done: the exit has the whole file, and the client knows. */
static circflow_engine *engine;
static circflow_set_id set;
static const char *file_name;
static FILE *file;
static uint64_t file_bytes;

/* Ends the program. The exit leaves no part of a file behind. */
#define FAIL(...) \
    (fprintf(stderr, "tunnel: " __VA_ARGS__), fputc('\n', stderr), !is_client && file && remove(file_name), exit(1))

/* For calls that fail only if this program is wrong. */
static void check(circflow_status status, const char *what) {
    if (status != CIRCFLOW_OK) FAIL("%s: %s", what, circflow_status_text(status));
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static char letter_of(const struct path *path) { return (char)('A' + (path - paths)); }

static void random_bytes(uint8_t *bytes, size_t len) {
    FILE *source = fopen("/dev/urandom", "rb");
    if (source == NULL || fread(bytes, 1, len, source) != len) FAIL("cannot read /dev/urandom");
    fclose(source);
}

/* Tells circflow what a path can take. Without a first report it gets no DATA. With the sendme_inc of 0 the loss of a
 * path ends the set: we keep no frames that we could send again. */
static void report(const struct path *path) {
    circflow_leg_report leg = {.circuit = path->circuit, .cwnd = path->cwnd, .inflight = path->inflight,
                               .rtt_ns = path->rtt_ns, .sendme_inc = 0};
    if (!path->is_past_start) leg.flags |= CIRCFLOW_REPORT_SLOW_START;
    if (path->is_full) leg.flags |= CIRCFLOW_REPORT_CHANNEL_FULL;
    check(circflow_leg_update(engine, now_ns(), &leg, 1), "report");
}

/* Reports a path that has become full, or has room again. */
static void note_room(struct path *path) {
    const int is_full = path->out_len > (path->is_full ? FULL / 2 : FULL);
    if (is_full == path->is_full) return;
    path->is_full = is_full;
    if (path->cwnd != 0 && path->circuit.v != 0) report(path);
}

static void put_frame(struct path *path, uint8_t command, uint16_t stream_id, const uint8_t *body, size_t len) {
    uint8_t *frame = path->out + path->out_len;
    if (path->out_len + HEAD + len > OUT_CAP) FAIL("the other end does not read path %c", letter_of(path));
    frame[0] = (uint8_t)(len >> 8), frame[1] = (uint8_t)len, frame[2] = command;
    frame[3] = (uint8_t)(stream_id >> 8), frame[4] = (uint8_t)stream_id;
    if (len > 0) memcpy(frame + HEAD, body, len);
    path->out_len += HEAD + len;
}

/* Sends a message of the stream on the path that circflow names, after a SWITCH if it is due. */
static circflow_status send_message(uint8_t command, const uint8_t *body, size_t len) {
    const circflow_message message = {
        .command = command, .hop = is_client ? 1 : 0, .stream_id = STREAM, .body = body, .body_len = (uint16_t)len};
    circflow_verdict verdict; /* Always SEND: HELD comes with padding only. */
    const circflow_status status = circflow_set_send(engine, now_ns(), set, &message, NULL, 0, &verdict);
    if (status != CIRCFLOW_OK) return status;
    struct path *path = &paths[verdict.circuit_tag - 1];
    if (verdict.switch_delta != 0) {
        uint8_t jump[CIRCFLOW_SWITCH_LEN];
        check(circflow_switch_encode(verdict.switch_delta, jump), "SWITCH");
        put_frame(path, CIRCFLOW_CMD_SWITCH, 0, jump, sizeof jump);
    }
    put_frame(path, command, STREAM, body, len);
    if (command == CIRCFLOW_CMD_DATA) path->inflight++, path->sent_ns[path->frames++ % CWND_MAX] = now_ns();
    note_room(path);
    return CIRCFLOW_OK;
}

/* The client sends the file in DATA, then END, as long as there is room. */
static void send_file(void) {
    static uint8_t piece[CIRCFLOW_DATA_MAX];
    static size_t len;
    for (; may_send && file != NULL; len = 0) {
        if (len == 0) len = fread(piece, 1, sizeof piece, file);
        if (ferror(file)) FAIL("cannot read %s", file_name);
        const circflow_status status = send_message(len > 0 ? CIRCFLOW_CMD_DATA : CIRCFLOW_CMD_END, piece, len);
        if (status == CIRCFLOW_ERR_NO_ROOM) may_send = 0; /* Until MAY_SEND, which a tick may bring. */
        if (status == CIRCFLOW_ERR_NO_ROOM) return;       /* The piece stays. */
        check(status, "send");
        if (len == 0) fclose(file), file = NULL;
        file_bytes += len;
    }
}

/* A message whose turn it is. The exit answers END with END, when all is on disk. The client then closes the set. */
static void handle(uint8_t command, const uint8_t *body, size_t len) {
    if (is_done || (command != CIRCFLOW_CMD_END && (is_client || command != CIRCFLOW_CMD_DATA)))
        FAIL("the other end sent command %d where it does not fit", command);
    file_bytes += len;
    if (command == CIRCFLOW_CMD_DATA && fwrite(body, 1, len, file) != len) FAIL("cannot write %s", file_name);
    if (command != CIRCFLOW_CMD_END) return;
    if (!is_client && fclose(file) != 0) FAIL("cannot write %s", file_name);
    if (is_client) check(circflow_set_close(engine, now_ns(), set), "close");
    else check(send_message(CIRCFLOW_CMD_END, NULL, 0), "END");
    is_done = 1, file = NULL;
}

/* Our own congestion control, a small Vegas: the window grows while little waits on the path. */
static void acknowledged(struct path *path) {
    if (path->inflight < ACK_EVERY) FAIL("an ACK on path %c for frames that were not sent", letter_of(path));
    path->inflight -= ACK_EVERY;
    const uint64_t rtt = now_ns() - path->sent_ns[(path->frames - path->inflight - 1) % CWND_MAX] + 1;
    path->rtt_ns = path->rtt_ns == 0 ? rtt : (7 * path->rtt_ns + rtt) / 8;
    if (path->rtt_min_ns == 0 || rtt < path->rtt_min_ns) path->rtt_min_ns = rtt;
    const uint64_t waits = path->cwnd - path->cwnd * path->rtt_min_ns / path->rtt_ns;
    if (waits > WAIT_MAX) path->is_past_start = 1;
    if (!path->is_past_start) path->cwnd += ACK_EVERY;
    else if (waits < WAIT_MIN) path->cwnd++;
    else if (waits > WAIT_MAX) path->cwnd--;
    path->cwnd = path->cwnd < CWND_MIN ? CWND_MIN : path->cwnd > CWND_MAX ? CWND_MAX : path->cwnd;
    report(path);
}

static void close_path(struct path *path) {
    close(path->fd);
    path->fd = -1;
    if (path->circuit.v != 0) (void)circflow_circuit_gone(engine, now_ns(), path->circuit);
    path->circuit.v = 0;
}

/* Carries out an instruction. */
static void obey(void *unused, const circflow_insn *insn, const uint8_t *body) {
    struct path *path = insn->circuit_tag != 0 ? &paths[insn->circuit_tag - 1] : NULL;
    (void)unused;
    switch (insn->kind) {
    case CIRCFLOW_INSN_SEND: /* LINK, LINKED, LINKED_ACK. */
        put_frame(path, insn->detail.send.command, insn->detail.send.stream_id, body, insn->detail.send.body_len);
        break;
    case CIRCFLOW_INSN_LINKED: /* The exit hears here of the set that the client has opened. */
        if (set.v != 0 && set.v != insn->set.v) FAIL("the paths come from two clients");
        set = insn->set;
        path->cwnd = CWND_FIRST;
        report(path);
        break;
    case CIRCFLOW_INSN_USABLE:
    case CIRCFLOW_INSN_MAY_SEND: may_send = 1; break;
    case CIRCFLOW_INSN_DELIVER: handle(insn->detail.deliver.command, body, insn->detail.deliver.body_len); break;
    case CIRCFLOW_INSN_CLOSE:
        if (!is_done) FAIL("path %c has to close: %s", letter_of(path), circflow_status_text(insn->detail.close.cause));
        close_path(path);
        break;
    default: break; /* ENDED after this. WANT_LEG, and what this program does not use. */
    }
}

/* Comes after every feed. */
static void drain(void) { check(circflow_engine_drain(engine, 1000, NULL, obey, NULL), "drain"); }

/* Feeds the messages that a read has brought, all in one call for as long as none is refused. */
static void receive(struct path *path, circflow_arrival *arrivals, size_t count) {
    size_t at = 0, taken;
    while (at < count && path->circuit.v != 0) { /* It may close. */
        const circflow_status status =
            circflow_circuit_receive_many(engine, now_ns(), arrivals + at, count - at, &taken);
        for (const size_t end = at + taken; at < end; at++) {
            const circflow_message *message = &arrivals[at].message;
            if (arrivals[at].verdict.kind == CIRCFLOW_VERDICT_DELIVER)
                handle(message->command, message->body, message->body_len);
            if (message->command == CIRCFLOW_CMD_DATA && ++path->frames % ACK_EVERY == 0)
                put_frame(path, ACK, 0, NULL, 0);
        }
        if (status != CIRCFLOW_OK && status != CIRCFLOW_ERR_UNDRAINED) {
            fprintf(stderr, "tunnel: path %c: %s\n", letter_of(path), circflow_status_text(status));
            at++; /* The one that was refused. */
        }
        drain(); /* After an error, too: it may bring a CLOSE. */
    }
}

static void read_path(struct path *path) {
    const ssize_t got = read(path->fd, path->in + path->in_len, IN_CAP - path->in_len);
    circflow_arrival arrivals[ARRIVALS];
    size_t at = 0, len, count = 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) { /* The client closes when it has the END. */
        if (!is_done) FAIL("path %c is gone", letter_of(path));
        (void)circflow_set_close(engine, now_ns(), set);
        close_path(path);
        drain();
        return;
    }
    path->in_len += (size_t)got;
    for (; path->in_len - at >= HEAD; at += HEAD + len) {
        const uint8_t *frame = path->in + at;
        len = (size_t)frame[0] << 8 | frame[1];
        if (len > CIRCFLOW_BODY_MAX) FAIL("a frame of %u bytes on path %c", (unsigned)len, letter_of(path));
        if (path->in_len - at < HEAD + len) break;
        if (path->circuit.v == 0) continue; /* It is closing. */
        if (frame[2] == ACK) {
            acknowledged(path);
            continue;
        }
        arrivals[count].circuit = path->circuit;
        arrivals[count].message = (circflow_message){.command = frame[2],
                                                     .hop = is_client ? 1 : 0,
                                                     .stream_id = (uint16_t)(frame[3] << 8 | frame[4]),
                                                     .body = frame + HEAD,
                                                     .body_len = (uint16_t)len};
        if (++count == ARRIVALS) {
            receive(path, arrivals, count);
            count = 0;
        }
    }
    receive(path, arrivals, count);
    path->in_len -= at;
    memmove(path->in, path->in + at, path->in_len);
}

static void open_path(struct path *path, int fd) {
    circflow_circuit_config config;
    const int on = 1;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    path->fd = fd;
    path->is_listener = 0;
    check(circflow_circuit_config_init(&config, sizeof config), "config");
    config.tag = (uint64_t)(path - paths) + 1;
    config.role = is_client ? CIRCFLOW_ROLE_CLIENT : CIRCFLOW_ROLE_RELAY;
    config.hops = is_client ? 1 : 0;
    check(circflow_circuit_open(engine, now_ns(), &config, &path->circuit), "circuit");
}

static void listen_or_connect(struct path *path, unsigned port) {
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0) FAIL("socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (is_client && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) open_path(path, fd);
    else if (is_client) FAIL("no exit at 127.0.0.1 port %u: %s", port, strerror(errno));
    else if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1) != 0)
        FAIL("cannot listen on 127.0.0.1 port %u: %s (-a and -b name other ports)", port, strerror(errno));
    else path->fd = fd, path->is_listener = 1;
}

static void accept_path(struct path *path) {
    const int fd = accept(path->fd, NULL, NULL);
    if (fd < 0) return; /* It has left already. */
    close(path->fd);
    open_path(path, fd);
}

static void write_path(struct path *path) {
    const ssize_t put = path->out_len == 0 ? 0 : write(path->fd, path->out, path->out_len);
    if (put > 0) memmove(path->out, path->out + put, path->out_len -= (size_t)put);
    if (put < 0 && errno != EAGAIN && errno != EINTR) path->out_len = 0; /* It is gone, and read() will say so. */
    note_room(path);
}

/* How long poll() may sleep: until circflow wants to be called, rounded up. (CIRCFLOW_NEVER is very late.) */
static int poll_ms(void) {
    uint64_t deadline;
    check(circflow_engine_get_deadline(engine, &deadline), "deadline");
    const uint64_t now = now_ns();
    if (deadline <= now) return 0; /* At once. */
    return deadline - now > UINT64_C(60000000000) ? 60000 : (int)((deadline - now + 999999) / 1000000);
}

static void run(void) {
    struct pollfd polled[PATHS];
    for (;;) {
        for (int i = 0; i < PATHS; i++)
            if (paths[i].fd >= 0 && !paths[i].is_listener) write_path(&paths[i]);
        drain();
        if (is_client) send_file();
        for (int i = 0; i < PATHS; i++)
            polled[i] = (struct pollfd){.fd = paths[i].fd, .events = paths[i].out_len > 0 ? POLLIN | POLLOUT : POLLIN};
        if (polled[0].fd < 0 && polled[1].fd < 0) return;
        if (poll(polled, PATHS, poll_ms()) < 0 && errno != EINTR) FAIL("poll: %s", strerror(errno));
        check(circflow_engine_tick(engine, now_ns()), "tick");
        for (int i = 0; i < PATHS; i++) {
            if (paths[i].fd < 0 || (polled[i].revents & ~POLLOUT) == 0) continue;
            if (paths[i].is_listener) accept_path(&paths[i]);
            else read_path(&paths[i]);
        }
    }
}

/* The exit accepts a set, the client opens one of both paths. The legs are chosen by the default algorithm. */
static void open_set(void) {
    const circflow_circuit_id circuits[PATHS] = {paths[0].circuit, paths[1].circuit};
    circflow_set_config config;
    check(circflow_set_config_init(&config, sizeof config), "config");
    if (!is_client) check(circflow_engine_accept_sets(engine, &config), "accept");
    if (!is_client) return;
    random_bytes(config.nonce, sizeof config.nonce); /* A secret of this set. */
    check(circflow_set_open(engine, now_ns(), &config, &set), "open");
    memset(config.nonce, 0, sizeof config.nonce); /* A real tunnel makes sure that the compiler leaves this in. */
    check(circflow_set_add_legs(engine, now_ns(), set, circuits, PATHS), "add legs");
}

int main(int argc, char **argv) {
    circflow_engine_config config;
    unsigned long ports[PATHS] = {7101, 7102};
    int is_wrong = argc < 2 || (strcmp(argv[1], "client") != 0 && strcmp(argv[1], "exit") != 0);
    is_client = !is_wrong && argv[1][0] == 'c';
    for (int option; !is_wrong && (option = getopt(argc - 1, argv + 1, "a:b:")) != -1;) {
        is_wrong = option == '?';
        if (!is_wrong) ports[option - 'a'] = strtoul(optarg, NULL, 10);
    }
    for (int i = 0; i < PATHS; i++) is_wrong |= ports[i] < 1 || ports[i] > 65535;
    if (is_wrong || optind != argc - 2) return fputs("usage: tunnel exit|client [-a PORT] [-b PORT] FILE\n", stderr), 2;
    signal(SIGPIPE, SIG_IGN);
    file_name = argv[argc - 1];
    file = fopen(file_name, is_client ? "rb" : "wb");
    if (file == NULL) FAIL("cannot open %s: %s", file_name, strerror(errno));
    check(circflow_engine_config_init(&config, sizeof config), "config");
    random_bytes(config.seed, sizeof config.seed);
    check(circflow_engine_new(&config, &engine), "engine");
    for (int i = 0; i < PATHS; i++) listen_or_connect(&paths[i], (unsigned)ports[i]);
    open_set();
    if (!is_client) printf("tunnel exit: waits on ports %lu and %lu\n", ports[0], ports[1]);
    fflush(stdout);
    run();
    printf("tunnel %s: %llu bytes; DATA frames: %llu on path A, %llu on path B\n", argv[1],
           (unsigned long long)file_bytes, (unsigned long long)paths[0].frames, (unsigned long long)paths[1].frames);
    return circflow_engine_free(engine, NULL, NULL);
}
