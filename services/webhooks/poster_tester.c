#include "webhooks/poster_tester.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

enum { LISTENERS = 2, CONNECTIONS = 64, REQUEST_MAX = 4096, WAIT_MS = 10000, DATE_S = 120 };

/* ---- the server ---- */

struct connection {
    int fd;
    size_t n;
    char text[REQUEST_MAX];
};

struct poster_server {
    pthread_t thread;
    int listeners[LISTENERS];
    unsigned port;
    int wake[2];
    atomic_uint requests;
    atomic_uint accepted[LISTENERS];
    atomic_uint silent; /* requests that wait for ever */
    atomic_uint silent_most;
    char last[REQUEST_MAX];
    struct connection connections[CONNECTIONS];
};

static const char *const addresses[LISTENERS] = {POSTER_SERVER_A, POSTER_SERVER_B};

#define EMPTY "Content-Length: 0\r\n"

static const struct {
    const char *path;
    const char *head;
} answers[] = {
    {" /no ", "HTTP/1.1 500 No\r\n" EMPTY},
    {" /away ", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nRetry-After: 7\r\n" EMPTY},
    {" /big ", "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n"},
    {" /busy ", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n" EMPTY},
    {" /down ", "HTTP/1.1 503 Service Unavailable\r\nretry-after:  7 \r\n" EMPTY},
    {" /past ", "HTTP/1.1 503 Service Unavailable\r\n"
                "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n" EMPTY},
    {" /odd ", "HTTP/1.1 429 Too Many Requests\r\nRetry-After: soon\r\n" EMPTY},
    {" /date ", "HTTP/1.1 503 Service Unavailable\r\n" EMPTY "Retry-After: "},
    {"", "HTTP/1.1 204 No Content\r\n"},
};

static void say(const struct connection *connection, const char *text)
{
    (void)send(connection->fd, text, strlen(text), MSG_NOSIGNAL);
}

static void say_date(const struct connection *connection)
{
    char text[64];
    time_t at = time(NULL) + DATE_S;
    struct tm parts;

    (void)gmtime_r(&at, &parts);
    (void)strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    say(connection, text);
}

static void keep_silent(struct poster_server *server)
{
    unsigned now = atomic_fetch_add(&server->silent, 1) + 1;

    if (now > atomic_load(&server->silent_most)) {
        atomic_store(&server->silent_most, now);
    }
}

static void answer(struct poster_server *server, struct connection *connection)
{
    static char filling[100000];
    size_t i = 0;

    memcpy(server->last, connection->text, sizeof(server->last));
    atomic_fetch_add(&server->requests, 1);
    if (strstr(connection->text, " /silent ") != NULL) {
        keep_silent(server);
        return;
    }
    while (strstr(connection->text, answers[i].path) == NULL) {
        i++; /* the last holds for all */
    }
    say(connection, answers[i].head);
    if (strcmp(answers[i].path, " /date ") == 0) {
        say_date(connection);
    }
    say(connection, "\r\n");
    if (strcmp(answers[i].path, " /big ") == 0) {
        (void)send(connection->fd, filling, sizeof(filling), MSG_NOSIGNAL);
    }
    connection->n = 0;
}

static void take(struct poster_server *server, struct connection *connection)
{
    ssize_t n = recv(connection->fd, connection->text + connection->n,
                     sizeof(connection->text) - 1 - connection->n, 0);
    const char *head_end;
    const char *length;

    if (n <= 0) {
        if (strstr(connection->text, " /silent ") != NULL) {
            atomic_fetch_sub(&server->silent, 1);
        }
        (void)close(connection->fd);
        memset(connection, 0, sizeof(*connection));
        return;
    }
    connection->n += (size_t)n;
    connection->text[connection->n] = '\0';
    head_end = strstr(connection->text, "\r\n\r\n");
    length = strstr(connection->text, "Content-Length: ");
    if (head_end != NULL && length != NULL &&
        strlen(head_end + 4) >= (size_t)strtol(length + 16, NULL, 10)) {
        answer(server, connection);
    }
}

static void accept_at(struct poster_server *server, int listener)
{
    for (int i = 0; i < CONNECTIONS; i++) {
        if (server->connections[i].fd == 0) {
            server->connections[i].fd = accept(server->listeners[listener], NULL, NULL);
            atomic_fetch_add(&server->accepted[listener], 1);
            return;
        }
    }
}

static void *serve(void *ctx)
{
    struct poster_server *server = ctx;

    for (;;) {
        struct pollfd looks[CONNECTIONS + LISTENERS + 1] = {{.fd = -1}};

        for (int i = 0; i < CONNECTIONS; i++) {
            int fd = server->connections[i].fd;

            looks[i] = (struct pollfd){.fd = fd > 0 ? fd : -1, .events = POLLIN};
        }
        for (int i = 0; i < LISTENERS; i++) {
            looks[CONNECTIONS + i] = (struct pollfd){.fd = server->listeners[i], .events = POLLIN};
        }
        looks[CONNECTIONS + LISTENERS] = (struct pollfd){.fd = server->wake[0], .events = POLLIN};
        (void)poll(looks, CONNECTIONS + LISTENERS + 1, -1);
        if (looks[CONNECTIONS + LISTENERS].revents != 0) {
            return NULL;
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            if (looks[i].revents != 0) {
                take(server, &server->connections[i]);
            }
        }
        for (int i = 0; i < LISTENERS; i++) {
            if (looks[CONNECTIONS + i].revents != 0) {
                accept_at(server, i);
            }
        }
    }
}

/* A listener at @host, on @port or, with 0, on one that is free; -1 when that is taken. */
static int listen_at(const char *host, unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(inet_pton(AF_INET, host, &address.sin_addr), 1);
    if (bind(fd, (const struct sockaddr *)&address, length) < 0) {
        (void)close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

struct poster_server *poster_server_new(void)
{
    struct poster_server *server = mem_new0(sizeof(*server));

    for (;;) { /* until a port is free at both */
        server->port = 0;
        server->listeners[0] = listen_at(addresses[0], &server->port);
        assert_true(server->listeners[0] >= 0);
        server->listeners[1] = listen_at(addresses[1], &server->port);
        if (server->listeners[1] >= 0) {
            break;
        }
        (void)close(server->listeners[0]);
    }
    assert_int_equal(pipe(server->wake), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

void poster_server_free(struct poster_server **server)
{
    struct poster_server *gone = *server;

    *server = NULL;
    assert_int_equal(write(gone->wake[1], "x", 1), 1);
    (void)pthread_join(gone->thread, NULL);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (gone->connections[i].fd > 0) {
            (void)close(gone->connections[i].fd);
        }
    }
    for (int i = 0; i < LISTENERS; i++) {
        (void)close(gone->listeners[i]);
    }
    (void)close(gone->wake[0]);
    (void)close(gone->wake[1]);
    free(gone);
}

unsigned poster_server_port(const struct poster_server *server)
{
    return server->port;
}

unsigned poster_server_requests(struct poster_server *server)
{
    return atomic_load(&server->requests);
}

unsigned poster_server_silent_most(struct poster_server *server)
{
    return atomic_load(&server->silent_most);
}

unsigned poster_server_connections(struct poster_server *server, const char *address)
{
    return atomic_load(&server->accepted[strcmp(address, addresses[0]) == 0 ? 0 : 1]);
}

const char *poster_server_last(const struct poster_server *server)
{
    return server->last;
}

/* ---- the poster ---- */

static void on_done(const struct post_result *result, void *ctx)
{
    struct desk *desk = ctx;

    desk->done++;
    desk->status = result->status;
    desk->retry_after_s = result->retry_after_s;
    desk->was_slow = result->was_slow;
    (void)snprintf(desk->error, sizeof(desk->error), "%s",
                   result->error == NULL ? "" : result->error);
}

void desk_open(struct desk *desk, const char *allowed, int64_t timeout_ms)
{
    struct poster_options options = {.timeout_ms = timeout_ms};

    memset(desk, 0, sizeof(*desk));
    assert_int_equal(net_blocks_parse(allowed, &options.allowed, NULL), 0);
    assert_int_equal(loop_new(&desk->loop, NULL), 0);
    assert_int_equal(poster_new(desk->loop, &options, &desk->poster, NULL), 0);
    desk->server = poster_server_new();
}

void desk_close(struct desk *desk)
{
    poster_close(&desk->poster);
    loop_run(desk->loop);
    loop_free(&desk->loop);
    poster_server_free(&desk->server);
}

struct post *desk_start(struct desk *desk, const char *url)
{
    static const char *const headers[] = {"Content-Type: application/json", "X-Test: 1", NULL};
    char whole[256];
    struct post_request request = {.url = whole,
                                   .headers = headers,
                                   .body = {(const uint8_t *)"{\"a\":1}", 7},
                                   .is_slow = desk->is_slow};

    if (url[0] == '/') {
        (void)snprintf(whole, sizeof(whole), "http://" POSTER_SERVER_A ":%u%s", desk->server->port,
                       url);
    } else {
        (void)snprintf(whole, sizeof(whole), "%s", url);
    }
    return post_start(desk->poster, &request, on_done, desk);
}

static bool is_done(void *ctx)
{
    const struct desk *desk = ctx;

    return desk->done >= desk->want;
}

void desk_finish(struct desk *desk, unsigned n)
{
    desk->want = n;
    if (!loop_run_until(desk->loop, is_done, desk, WAIT_MS)) {
        fail_msg("%u of %u ended", desk->done, n);
    }
}

void desk_post(struct desk *desk, const char *url)
{
    unsigned before = desk->done;

    assert_non_null(desk_start(desk, url));
    assert_int_equal(desk->done, before);
    desk_finish(desk, before + 1);
}
