/* A queue between a source and a slow consumer, on real sockets, with poll(). No circuits and no engine: circflow_queue
 * is for any channel that can be full. It runs twice: with cells, whose bytes circflow copies when they have to wait,
 * and with jobs, which wait as tokens, for a consumer that goes away. docs/queue.md explains each step. */
#include <circflow.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CELL = 514, CELLS = 4000, BLOCK = 16 * CELL, JOBS = 400, JOB_MAX = 256, BUFFER = 8192 };

#define CHECK(call) check(call, #call)
static void check(int32_t status, const char *what) {
    if (status == CIRCFLOW_OK) return;
    fprintf(stderr, "%s: %s\n", what, circflow_status_text(status));
    exit(1);
}

static void must(int is_so, const char *what) {
    if (is_so) return;
    fprintf(stderr, "slow_consumer: %s does not hold\n", what);
    exit(1);
}
#define MUST(condition) must(condition, #condition)

/* The channel: a socket that does not block. While an item is half written, there is no room for another. */
struct outlet {
    int fd, is_closed;
    uint8_t rest[CELL];
    size_t rest_len;
};

/* Writes as many of the bytes as the socket takes. Returns 0 when the other end is gone. */
static int write_some(struct outlet *outlet, const uint8_t *bytes, size_t len, size_t *written) {
    const ssize_t sent = send(outlet->fd, bytes, len, MSG_NOSIGNAL);
    *written = sent > 0 ? (size_t)sent : 0;
    outlet->is_closed |= sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
    return !outlet->is_closed;
}

/* Sends an item of these bytes. Returns the answer for a circflow_queue_try_send_fn. */
static int32_t offer(struct outlet *outlet, const uint8_t *bytes, size_t len) {
    size_t written;
    if (outlet->rest_len > 0) { /* The end of the item before this one goes first. */
        if (!write_some(outlet, outlet->rest, outlet->rest_len, &written)) return CIRCFLOW_SINK_CLOSED;
        outlet->rest_len -= written;
        memmove(outlet->rest, outlet->rest + written, outlet->rest_len);
        if (outlet->rest_len > 0) return CIRCFLOW_SINK_FULL;
    }
    if (len == 0) return CIRCFLOW_SINK_TAKEN;
    if (!write_some(outlet, bytes, len, &written)) return CIRCFLOW_SINK_CLOSED;
    if (written == 0) return CIRCFLOW_SINK_FULL;
    outlet->rest_len = len - written; /* An item that was begun is taken: the channel keeps the rest. */
    memcpy(outlet->rest, bytes + written, outlet->rest_len);
    return CIRCFLOW_SINK_TAKEN;
}

static int32_t is_closed(void *userdata) {
    return ((struct outlet *)userdata)->is_closed;
}

static int32_t send_cell(void *userdata, const circflow_queue_item *item) {
    return offer(userdata, item->bytes, item->bytes_len);
}

static struct job {
    size_t len;
    uint8_t text[JOB_MAX];
    int sent, came_back;
} jobs[JOBS];

static int32_t send_job(void *userdata, const circflow_queue_item *item) {
    struct job *job = &jobs[item->token];
    const int32_t answer = offer(userdata, job->text, job->len);
    job->sent += answer == CIRCFLOW_SINK_TAKEN;
    return answer;
}

static void wait_for(struct pollfd *fds, nfds_t count) {
    int ready;
    do ready = poll(fds, count, -1);
    while (ready < 0 && errno == EINTR);
    MUST(ready > 0);
}

static circflow_queue *queue_of(uint32_t backlog_max, uint32_t item_bytes_max) {
    circflow_queue_config config;
    circflow_queue *queue;
    CHECK(circflow_queue_config_init(&config, sizeof config));
    config.backlog_max = backlog_max;
    config.item_bytes_max = item_bytes_max;
    CHECK(circflow_queue_new(&config, &queue));
    return queue;
}

/* Runs one end of a socket in a new process; `ours` is the other end. */
static pid_t spawn(int (*program)(int fd), int *ours) {
    int ends[2], small = BUFFER;
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    MUST(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0); /* Small, so that it is soon full. */
    const pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        close(ends[0]);
        _exit(program(ends[1]));
    }
    close(ends[1]);
    *ours = ends[0];
    return child;
}

static int ended_well(pid_t child) {
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int read_all(int fd, uint8_t *bytes, size_t len) {
    while (len > 0) {
        const ssize_t got = read(fd, bytes, len);
        if (got == 0 || (got < 0 && errno != EINTR)) return 0;
        if (got > 0) bytes += got, len -= (size_t)got;
    }
    return 1;
}

static void make_cell(uint8_t *cell, uint32_t number) {
    memset(cell, (int)(number % 251), CELL);
    memcpy(cell, &number, sizeof number);
}

/* The source: writes cells as fast as the socket takes them. Only a socket that nobody reads stops it. */
static int source(int fd) {
    uint8_t cell[CELL];
    for (uint32_t number = 0; number < CELLS; number++) {
        make_cell(cell, number);
        for (size_t done = 0; done < CELL;) {
            const ssize_t sent = send(fd, cell + done, CELL - done, MSG_NOSIGNAL);
            if (sent < 0 && errno != EINTR) return 1;
            if (sent > 0) done += (size_t)sent;
        }
    }
    return 0;
}

/* The consumer: reads slowly, and checks that every cell comes, once and in order. */
static int slow_consumer(int fd) {
    const struct timespec pause = {0, 1000000};
    uint8_t cell[CELL], expected[CELL];
    for (uint32_t number = 0; number < CELLS; number++) {
        if (number % 40 == 0) nanosleep(&pause, NULL);
        make_cell(expected, number);
        if (!read_all(fd, cell, CELL) || memcmp(cell, expected, CELL) != 0) return 1;
    }
    return read(fd, cell, 1) != 0; /* After the last cell comes the end. */
}

static void bytes_between_two_sockets(void) {
    struct outlet outlet = {.fd = -1};
    const circflow_queue_sink channel = {send_cell, is_closed, &outlet};
    circflow_queue *queue = queue_of(CIRCFLOW_BACKLOG_EVENTS, CELL); /* 32: a block of input brings 16 cells at most. */
    uint8_t block[BLOCK], is_paused = 0, waits = 0;
    uint32_t pauses = 0, resumes = 0, most = 0;
    size_t have = 0;
    int from, is_open = 1;
    const pid_t producer = spawn(source, &from), consumer = spawn(slow_consumer, &outlet.fd);
    MUST(fcntl(outlet.fd, F_SETFL, O_NONBLOCK) == 0);

    while (is_open || waits || outlet.rest_len > 0) {
        /* Waits for the source only while it is not paused, and for room only while an item needs it. */
        struct pollfd fds[2] = {{is_open && !is_paused ? from : -1, POLLIN, 0}, {-1, POLLOUT, 0}};
        if (waits || outlet.rest_len > 0) fds[1].fd = outlet.fd;
        wait_for(fds, 2);

        if (fds[1].revents) { /* There is room: waiting items go first. */
            MUST(offer(&outlet, NULL, 0) != CIRCFLOW_SINK_CLOSED);
            CHECK(circflow_queue_drain(queue, NULL, &channel));
            CHECK(circflow_queue_get_pending(queue, &waits));
            if (is_paused && !waits) is_paused = 0, resumes++;
        }
        if (fds[0].revents) {
            const ssize_t got = read(from, block + have, sizeof block - have);
            if (got < 0 && errno == EINTR) continue;
            MUST(got >= 0);
            is_open = got > 0;
            have += (size_t)got;
            size_t used = 0;
            for (; have - used >= CELL; used += CELL) {
                circflow_queue_item item = {.form = CIRCFLOW_FORM_BYTES, .bytes = block + used, .bytes_len = CELL};
                uint8_t kept;
                CHECK(circflow_queue_push(queue, &item, &kept, &channel)); /* QUEUE_FULL would be a bug here. */
                waits |= kept;
            }
            memmove(block, block + used, have -= used);
            if (waits && !is_paused) is_paused = 1, pauses++; /* The rest stays in the socket, and stops the source. */
        }
        uint32_t len;
        CHECK(circflow_queue_get_len(queue, &len));
        most = len > most ? len : most;
    }
    close(outlet.fd);
    close(from);
    CHECK(circflow_queue_free(queue, NULL, NULL)); /* Nothing waits. */
    MUST(ended_well(producer) && ended_well(consumer));
    MUST(pauses > 0 && resumes == pauses && most > 0 && most <= BLOCK / CELL);
    printf("bytes:  %d cells came through, each once and in order\n", CELLS);
    printf("bytes:  the source was paused when one had to wait, and went on when none did\n");
    printf("bytes:  never more than one block of %d cells waited\n", BLOCK / CELL);
}

/* Takes one job, and then waits to be killed. */
static int stuck_consumer(int fd) {
    uint8_t text[JOB_MAX];
    if (!read_all(fd, text, JOB_MAX)) return 1;
    for (;;) pause();
}

/* Takes all waiting jobs back, so that the owner of each job is known. */
static int take_back(circflow_queue *queue) {
    circflow_queue_item item;
    int count = 0;
    for (;; count++) {
        CHECK(circflow_queue_take(queue, NULL, 0, &item)); /* No buffer: a token has no bytes. */
        if (item.form == CIRCFLOW_FORM_NONE) return count;
        jobs[item.token].came_back++;
    }
}

static void tokens_and_a_consumer_that_goes(void) {
    struct outlet outlet = {.fd = -1};
    const circflow_queue_sink channel = {send_job, is_closed, &outlet};
    circflow_queue *queue = queue_of(CIRCFLOW_BACKLOG_SPARSE, 0); /* Up to 8 items of 0 bytes: tokens. */
    const pid_t consumer = spawn(stuck_consumer, &outlet.fd);
    int32_t status = CIRCFLOW_OK;
    uint32_t next = 0, kills = 0;
    MUST(fcntl(outlet.fd, F_SETFL, O_NONBLOCK) == 0);
    for (int number = 0; number < JOBS; number++) {
        jobs[number].len = JOB_MAX;
        memset(jobs[number].text, 'a' + number % 26, JOB_MAX);
    }
    while (status == CIRCFLOW_OK && next < JOBS) {
        const circflow_queue_item item = {.form = CIRCFLOW_FORM_TOKEN, .token = next};
        status = circflow_queue_push(queue, &item, NULL, &channel);
        if (status == CIRCFLOW_OK) next++;
        if (status == CIRCFLOW_ERR_QUEUE_FULL) { /* The job is offered again when there is room. */
            struct pollfd room = {outlet.fd, POLLOUT, 0};
            if (kills++ == 0) MUST(kill(consumer, SIGKILL) == 0); /* The consumer goes away. */
            wait_for(&room, 1);
            status = circflow_queue_drain(queue, NULL, &channel);
        }
    }
    MUST(status == CIRCFLOW_ERR_SINK_CLOSED && next < JOBS); /* Not QUEUE_FULL: there will never be room again. */
    const int came_back = take_back(queue);
    CHECK(circflow_queue_free(queue, NULL, NULL));
    close(outlet.fd);
    MUST(waitpid(consumer, NULL, 0) == consumer);

    /* Sent come first, then those that waited, then those that were never taken. */
    for (uint32_t number = 0; number < next; number++) {
        MUST(jobs[number].sent + jobs[number].came_back == 1);
        MUST(jobs[number].sent == (number + (uint32_t)came_back < next));
    }
    for (uint32_t number = next; number < JOBS; number++) MUST(jobs[number].sent + jobs[number].came_back == 0);
    MUST(came_back > 0 && came_back <= (int)CIRCFLOW_BACKLOG_SPARSE && kills > 0);
    printf("tokens: the consumer went away while jobs waited\n");
    printf("tokens: each of them came back, once and in order; no job was copied by circflow\n");
}

int main(void) {
    bytes_between_two_sockets();
    tokens_and_a_consumer_that_goes();
    return 0;
}
