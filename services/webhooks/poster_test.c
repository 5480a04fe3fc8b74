/* Against a small HTTP server of this process, on a thread of its own. */
#include "webhooks/poster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

enum { CONNECTIONS = 64, REQUEST_MAX = 4096, WAIT_MS = 10000 };

/* ---- the server: answers by path; "/silent" never ---- */

struct connection {
    int fd;
    size_t n;
    char text[REQUEST_MAX];
};

struct server {
    pthread_t thread;
    int listener;
    unsigned port;
    int wake[2];
    atomic_uint requests;
    atomic_uint silent; /* requests that wait for ever */
    atomic_uint silent_most;
    char last[REQUEST_MAX]; /* read after the thread's end, or after an answer */
    struct connection connections[CONNECTIONS];
};

static void answer(struct server *server, struct connection *connection)
{
    static const char ok[] = "HTTP/1.1 204 No Content\r\n\r\n";
    static const char no[] = "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno";
    static const char away[] = "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n";
    static const char big[] = "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n";
    static char filling[100000];
    const char *text = ok;

    memcpy(server->last, connection->text, sizeof(server->last));
    atomic_fetch_add(&server->requests, 1);
    if (strstr(connection->text, " /silent ") != NULL) {
        unsigned now = atomic_fetch_add(&server->silent, 1) + 1;

        if (now > atomic_load(&server->silent_most)) {
            atomic_store(&server->silent_most, now);
        }
        return;
    }
    if (strstr(connection->text, " /no ") != NULL) {
        text = no;
    } else if (strstr(connection->text, " /away ") != NULL) {
        text = away;
    } else if (strstr(connection->text, " /big ") != NULL) {
        text = big;
    }
    (void)send(connection->fd, text, strlen(text), MSG_NOSIGNAL);
    if (text == big) {
        (void)send(connection->fd, filling, sizeof(filling), MSG_NOSIGNAL);
    }
    connection->n = 0;
}

static void take(struct server *server, struct connection *connection)
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

static void *serve(void *ctx)
{
    struct server *server = ctx;

    for (;;) {
        struct pollfd looks[CONNECTIONS + 2] = {{.fd = server->listener, .events = POLLIN},
                                                {.fd = server->wake[0], .events = POLLIN}};

        for (int i = 0; i < CONNECTIONS; i++) {
            int fd = server->connections[i].fd;

            looks[i + 2] = (struct pollfd){.fd = fd > 0 ? fd : -1, .events = POLLIN};
        }
        (void)poll(looks, CONNECTIONS + 2, -1);
        if (looks[1].revents != 0) {
            return NULL;
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            if (looks[i + 2].revents != 0) {
                take(server, &server->connections[i]);
            }
        }
        for (int i = 0; i < CONNECTIONS && looks[0].revents != 0; i++) {
            if (server->connections[i].fd == 0) {
                server->connections[i].fd = accept(server->listener, NULL, NULL);
                break;
            }
        }
    }
}

static struct server *server_new(void)
{
    struct server *server = mem_new0(sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (const struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(server->listener, 64), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pipe(server->wake), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

static void server_free(struct server *server)
{
    assert_int_equal(write(server->wake[1], "x", 1), 1);
    (void)pthread_join(server->thread, NULL);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (server->connections[i].fd > 0) {
            (void)close(server->connections[i].fd);
        }
    }
    (void)close(server->listener);
    (void)close(server->wake[0]);
    (void)close(server->wake[1]);
    free(server);
}

/* ---- the poster under test ---- */

struct desk {
    struct loop *loop;
    struct poster *poster;
    struct server *server;
    unsigned done;
    unsigned want;
    int status;
    char error[160];
};

static void on_done(const struct post_result *result, void *ctx)
{
    struct desk *desk = ctx;

    desk->done++;
    desk->status = result->status;
    (void)snprintf(desk->error, sizeof(desk->error), "%s",
                   result->error == NULL ? "" : result->error);
}

static void desk_open(struct desk *desk, const char *allowed, int64_t timeout_ms)
{
    struct poster_options options = {.timeout_ms = timeout_ms};

    memset(desk, 0, sizeof(*desk));
    assert_int_equal(net_blocks_parse(allowed, &options.allowed, NULL), 0);
    assert_int_equal(loop_new(&desk->loop, NULL), 0);
    assert_int_equal(poster_new(desk->loop, &options, &desk->poster, NULL), 0);
    desk->server = server_new();
}

static void desk_close(struct desk *desk)
{
    poster_close(&desk->poster);
    loop_run(desk->loop);
    loop_free(&desk->loop);
    server_free(desk->server);
}

static struct post *start(struct desk *desk, const char *path)
{
    static const char *const headers[] = {"Content-Type: application/json", "X-Test: 1", NULL};
    char url[128];
    struct post_request request = {
        .url = url, .headers = headers, .body = {(const uint8_t *)"{\"a\":1}", 7}};

    if (path[0] == '/') {
        (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", desk->server->port, path);
    } else {
        (void)snprintf(url, sizeof(url), "%s", path);
    }
    return post_start(desk->poster, &request, on_done, desk);
}

static bool is_done(void *ctx)
{
    const struct desk *desk = ctx;

    return desk->done >= desk->want;
}

static void finish(struct desk *desk, unsigned n)
{
    desk->want = n;
    if (!loop_run_until(desk->loop, is_done, desk, WAIT_MS)) {
        fail_msg("%u of %u ended", desk->done, n);
    }
}

static void one(struct desk *desk, const char *path)
{
    unsigned before = desk->done;

    assert_non_null(start(desk, path));
    assert_int_equal(desk->done, before);
    finish(desk, before + 1);
}

/* ---- tests ---- */

static void the_answer_decides(void **state)
{
    struct desk desk;

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 5000);
    one(&desk, "/ok");
    assert_int_equal(desk.status, 204);
    assert_string_equal(desk.error, "");
    assert_non_null(strstr(desk.server->last, "POST /ok HTTP/1.1\r\n"));
    assert_non_null(strstr(desk.server->last, "\r\nX-Test: 1\r\n"));
    assert_non_null(strstr(desk.server->last, "\r\n\r\n{\"a\":1}"));
    one(&desk, "/no");
    assert_int_equal(desk.status, 500);
    assert_string_equal(desk.error, "the answer is not 2xx");
    one(&desk, "/away");
    assert_int_equal(desk.status, 302);
    assert_string_equal(desk.error, "redirects are not followed");
    assert_int_equal(atomic_load(&desk.server->requests), 3);
    one(&desk, "/big"); /* is not read to its end */
    assert_int_equal(desk.status, 200);
    assert_string_equal(desk.error, "");
    desk_close(&desk);
}

static void what_cannot_be_reached_is_told(void **state)
{
    struct desk desk;

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 300);
    one(&desk, "/silent");
    assert_int_equal(desk.status, 0);
    assert_string_equal(desk.error, "no answer in time");
    one(&desk, "http://127.0.0.1:1/");
    assert_int_equal(desk.status, 0);
    one(&desk, "ftp://127.0.0.1/");
    assert_string_equal(desk.error, "its URL cannot be read");
    one(&desk, "http://");
    assert_string_equal(desk.error, "its URL cannot be read");
    desk_close(&desk);
}

static void private_addresses_are_refused_before_anything_is_sent(void **state)
{
    static const char *const urls[] = {"/ok",
                                       "http://[::1]:9/",
                                       "http://10.0.0.1/",
                                       "http://0x7f000001/",
                                       "http://[::ffff:127.0.0.1]/",
                                       "http://169.254.169.254/latest"};
    struct desk desk;

    (void)state;
    desk_open(&desk, "", 2000);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        one(&desk, urls[i]);
        assert_int_equal(desk.status, 0);
        assert_string_equal(desk.error, "its address is private or reserved");
    }
    one(&desk, "http://user:password@127.0.0.1/");
    assert_int_equal(desk.status, 0);
    assert_int_equal(atomic_load(&desk.server->requests), 0);
    desk_close(&desk);
}

static void a_slow_host_holds_up_nobody_else(void **state)
{
    struct desk desk;
    char other[64];

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 1000);
    for (int i = 0; i < 12; i++) {
        assert_non_null(start(&desk, "/silent"));
    }
    assert_int_equal(poster_running(desk.poster), POSTER_PER_HOST);
    assert_int_equal(poster_waiting(desk.poster), 12 - POSTER_PER_HOST);
    (void)snprintf(other, sizeof(other), "http://localhost:%u/ok", desk.server->port);
    one(&desk, other);
    assert_int_equal(desk.status, 204);
    finish(&desk, 13);
    assert_int_equal(atomic_load(&desk.server->silent_most), POSTER_PER_HOST);
    assert_int_equal(poster_running(desk.poster) + poster_waiting(desk.poster), 0);
    desk_close(&desk);
}

static void a_cancelled_post_is_not_told(void **state)
{
    struct desk desk;
    struct post *posts[6];
    struct post *unreadable;

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 5000);
    for (int i = 0; i < 6; i++) {
        posts[i] = start(&desk, "/ok");
    }
    unreadable = start(&desk, "http://");
    post_cancel(&posts[0]); /* under way */
    post_cancel(&posts[5]); /* in line */
    post_cancel(&unreadable);
    assert_null(unreadable);
    finish(&desk, 4);
    one(&desk, "/ok");
    assert_int_equal(desk.done, 5);
    posts[0] = start(&desk, "/silent");
    post_cancel(&posts[0]);
    desk_close(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_decides),
        cmocka_unit_test(what_cannot_be_reached_is_told),
        cmocka_unit_test(private_addresses_are_refused_before_anything_is_sent),
        cmocka_unit_test(a_slow_host_holds_up_nobody_else),
        cmocka_unit_test(a_cancelled_post_is_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
