/* The watch: one thread per server that looks after slow peers. civetweb waits for bytes with a
 * time-out per byte only, so a peer that sends one byte every few seconds would hold a thread for
 * hours; and it does not tell its socket, so the socket is found by its two addresses. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "http/http_internal.h"

enum { LOOK_MS = 200, RATE_GRACE_MS = 5000 };

static bool is_socket_of(int fd, const struct mg_request_info *info)
{
    struct sockaddr_in peer;
    struct sockaddr_in own;
    socklen_t peer_n = sizeof(peer);
    socklen_t own_n = sizeof(own);
    char text[INET_ADDRSTRLEN];

    if (getpeername(fd, (struct sockaddr *)&peer, &peer_n) != 0 || peer.sin_family != AF_INET ||
        ntohs(peer.sin_port) != info->remote_port ||
        getsockname(fd, (struct sockaddr *)&own, &own_n) != 0 ||
        ntohs(own.sin_port) != info->server_port) {
        return false;
    }
    return inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text)) != NULL &&
           strcmp(text, info->remote_addr) == 0;
}

int http_socket_of(const struct http_request *request)
{
    DIR *dir = opendir("/proc/self/fd");
    int found = -1;

    if (dir == NULL) {
        return -1;
    }
    for (;;) {
        const struct dirent *entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe): own DIR */
        int64_t fd;

        if (entry == NULL) {
            break;
        }
        if (text_to_int(entry->d_name, 0, INT32_MAX, &fd) && is_socket_of((int)fd, request->info)) {
            found = (int)fd;
            break;
        }
    }
    (void)closedir(dir);
    return found;
}

void http_watch_begin(struct http_request *request, int64_t ms, bool is_reading)
{
    int64_t now = clock_mono_ms();

    atomic_store(&request->watch_how, is_reading ? SHUT_RD : SHUT_RDWR);
    if (request->watch_ended_ms == 0) {
        atomic_store(&request->watch_since_ms, now);
    } else { /* the time in between was ours, not the peer's */
        atomic_fetch_add(&request->watch_since_ms, now - request->watch_ended_ms);
    }
    atomic_store(&request->watch_until_ms, now + (ms > 0 ? ms : 1));
}

void http_watch_end(struct http_request *request)
{
    atomic_store(&request->watch_until_ms, 0);
    request->watch_ended_ms = clock_mono_ms();
}

static bool is_too_slow(struct http_request *request, int64_t now_ms)
{
    int64_t until = atomic_load(&request->watch_until_ms);
    int64_t took = now_ms - atomic_load(&request->watch_since_ms) - RATE_GRACE_MS;

    if (until == 0) {
        return false;
    }
    if (now_ms > until) {
        return true;
    }
    return atomic_load(&request->watch_how) == SHUT_RD && took > 0 &&
           atomic_load(&request->watch_bytes) < took * request->server->options.min_rate / 1000;
}

static void cut_slow_ones(struct http_server *server)
{
    int64_t now_ms = clock_mono_ms();

    for (struct http_request *r = server->active; r != NULL; r = r->next) {
        if (!atomic_load(&r->was_cut) && is_too_slow(r, now_ms)) {
            int fd = http_socket_of(r);

            atomic_store(&r->was_cut, true);
            if (fd >= 0) {
                (void)shutdown(fd, atomic_load(&r->watch_how));
            }
        }
    }
}

void *http_watch_run(void *server_arg)
{
    struct http_server *server = server_arg;

    (void)pthread_mutex_lock(&server->lock);
    while (!server->stopping) {
        struct timespec next;

        cut_slow_ones(server);
        (void)clock_gettime(CLOCK_MONOTONIC, &next);
        next.tv_nsec += LOOK_MS * 1000000L;
        next.tv_sec += next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&server->changed, &server->lock, &next);
    }
    (void)pthread_mutex_unlock(&server->lock);
    return NULL;
}
