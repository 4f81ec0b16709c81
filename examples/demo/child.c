#include "child.h"

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* How long a process may take to end after its control pipe was closed. */
enum { GRACE_MS = 500 };

/* Where the programs are: beside the demo. */
static int program_path(const char *program, char *path, size_t cap) {
    char self[1024];
    const ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) return -1;
    self[len] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) *slash = '\0';
    if ((size_t)snprintf(path, cap, "%s/demo-%s", self, program) < cap) return 0;
    errno = ENAMETOOLONG;
    return -1;
}

/* In the new process. */
static void become(const char *path, char *const argv[], int control, int lines, pid_t parent) {
#ifdef __linux__
    /* The end of the control pipe is not enough for a process that is stopped. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != parent) _exit(1); /* The demo ended before we asked for the signal. */
    /* Those that a terminal sends to all of its processes: the demo ends us. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (dup2(control, STDIN_FILENO) < 0 || dup2(lines, STDOUT_FILENO) < 0) _exit(1);
    execv(path, argv);
    dprintf(STDOUT_FILENO, "fail cannot start %s: %s\n", path, strerror(errno));
    _exit(1);
}

static void on_read(struct bufferevent *lines, void *arg) {
    struct child *child = arg;
    char *line;
    while ((line = evbuffer_readln(bufferevent_get_input(lines), NULL, EVBUFFER_EOL_LF)) != NULL) {
        child->events->on_line(child->owner, child, line);
        free(line);
    }
}

static void describe_end(int status, char *how, size_t cap) {
    if (WIFSIGNALED(status))
        snprintf(how, cap, "was ended by signal %d", WTERMSIG(status));
    else
        snprintf(how, cap, "ended with status %d", WEXITSTATUS(status));
}

static void forget(struct child *child) {
    if (child->control >= 0) close(child->control);
    bufferevent_free(child->lines);
    child->pid = 0;
}

static void reap(struct child *child, int *status) {
    kill(child->pid, SIGKILL); /* No effect if it has ended; else makes the wait short. */
    while (waitpid(child->pid, status, 0) < 0 && errno == EINTR) continue;
    forget(child);
}

/* When its lines end, the process has ended. */
static void on_end(struct bufferevent *lines, short what, void *arg) {
    struct child *child = arg;
    char how[64];
    int status = 0;
    (void)what;
    on_read(lines, child);
    reap(child, &status);
    describe_end(status, how, sizeof how);
    child->events->on_over(child->owner, child, how);
}

static int make_pipe(int pipe_out[2]) {
    if (pipe(pipe_out) != 0) return -1;
    fcntl(pipe_out[0], F_SETFD, FD_CLOEXEC);
    fcntl(pipe_out[1], F_SETFD, FD_CLOEXEC);
    return 0;
}

static void watch(struct child *child, struct event_base *base, int fd) {
    evutil_make_socket_nonblocking(fd);
    child->lines = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (child->lines == NULL) abort(); /* Out of memory. */
    bufferevent_setcb(child->lines, on_read, NULL, on_end, child);
    bufferevent_enable(child->lines, EV_READ);
}

int child_start(struct child *child, struct event_base *base, const char *const args[]) {
    char path[1100];
    char *argv[CHILD_ARGS_MAX + 2] = {path};
    int control[2], lines[2];
    for (int i = 0; i < CHILD_ARGS_MAX && args[i] != NULL; i++) argv[i + 1] = (char *)(uintptr_t)args[i];
    if (program_path(child->program, path, sizeof path) != 0 || make_pipe(control) != 0) return -1;
    if (make_pipe(lines) != 0) {
        close(control[0]);
        close(control[1]);
        return -1;
    }
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) become(path, argv, control[0], lines[1], parent);
    close(control[0]);
    close(lines[1]);
    if (pid < 0) {
        close(control[1]);
        close(lines[0]);
        return -1;
    }
    child->pid = pid;
    child->control = control[1];
    watch(child, base, lines[0]);
    return 0;
}

/* Returns 1 when it ended by itself in time. */
static int ends_by_itself(struct child *child) {
    const struct timespec pause = {.tv_nsec = 5000000};
    for (int i = 0; i < GRACE_MS / 5; i++) {
        if (waitpid(child->pid, NULL, WNOHANG) == child->pid) return 1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

void children_stop(struct child *children, size_t count) {
    int status;
    for (size_t i = 0; i < count; i++) {
        if (children[i].pid == 0) continue;
        close(children[i].control);
        children[i].control = -1;
    }
    for (size_t i = 0; i < count; i++) {
        if (children[i].pid == 0) continue;
        if (ends_by_itself(&children[i]))
            forget(&children[i]);
        else
            reap(&children[i], &status);
    }
}
