/* Against a real server: KENTONGAN_TEST_REDIS, and sockets of this process that behave badly. */
#include "cache/cache.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/uuid.h"
#include "cache/cache_keys.h"
#include "cache/cache_pool.h"
#include "cache/cache_verdict.h"
#include "loop/loop.h"
#include "testkit/testkit.h"

enum { WAIT_MS = 10000 };

static const char *server;

struct seat {
    struct loop *loop;
    struct cache *cache;
    unsigned connected;
    unsigned troubles;
    struct err trouble;
    unsigned answers;
    unsigned want;
    int rc;
    enum cache_kind kind;
    char text[64];
    unsigned began;
    unsigned messages;
    char message[64];
    struct cache_subscription *to_drop; /* from within its own callback */
};

static void on_connected(void *ctx)
{
    struct seat *seat = ctx;

    seat->connected++;
}

static void on_trouble(const struct err *err, void *ctx)
{
    struct seat *seat = ctx;

    seat->troubles++;
    seat->trouble = *err;
}

static void on_answer(int rc, const struct cache_reply *reply, void *ctx)
{
    struct seat *seat = ctx;

    seat->answers++;
    seat->rc = rc;
    seat->text[0] = '\0';
    if (rc == 0) {
        seat->kind = reply->kind;
        if (reply->kind == CACHE_TEXT) {
            (void)snprintf(seat->text, sizeof(seat->text), "%s", (const char *)reply->text.p);
        }
    }
}

static void on_message(struct bytes message, void *ctx)
{
    struct seat *seat = ctx;

    seat->messages++;
    (void)snprintf(seat->message, sizeof(seat->message), "%.*s", (int)message.n,
                   (const char *)message.p);
    cache_unsubscribe(&seat->to_drop);
}

static void on_began(void *ctx)
{
    struct seat *seat = ctx;

    seat->began++;
}

static void open_seat(struct seat *seat, const char *url)
{
    struct cache_options options = {
        .url = url, .timeout_ms = 500, .events = {on_connected, on_trouble, seat}};

    memset(seat, 0, sizeof(*seat));
    assert_int_equal(loop_new(&seat->loop, NULL), 0);
    assert_int_equal(cache_new(seat->loop, &options, &seat->cache, NULL), 0);
}

static void close_seat(struct seat *seat)
{
    cache_close(&seat->cache);
    loop_run(seat->loop);
    loop_free(&seat->loop);
}

static void run_until(struct seat *seat, bool (*is_done)(void *ctx))
{
    if (!loop_run_until(seat->loop, is_done, seat, WAIT_MS)) {
        fail_msg("timed out: %u connected, %u answers, %u began, %u messages, %s", seat->connected,
                 seat->answers, seat->began, seat->messages, seat->trouble.text);
    }
}

static bool is_connected(void *ctx)
{
    return cache_is_connected(((struct seat *)ctx)->cache);
}

static bool is_answered(void *ctx)
{
    const struct seat *seat = ctx;

    return seat->answers >= seat->want;
}

static bool has_begun(void *ctx)
{
    const struct seat *seat = ctx;

    return seat->began >= seat->want;
}

static bool has_messages(void *ctx)
{
    const struct seat *seat = ctx;

    return seat->messages >= seat->want;
}

static bool has_trouble(void *ctx)
{
    const struct seat *seat = ctx;

    return seat->troubles >= 1;
}

static void ask(struct seat *seat, const char *const *parts)
{
    seat->want = seat->answers + 1;
    cache_command_text(seat->cache, parts, on_answer, seat);
    assert_int_equal(seat->answers + 1, seat->want); /* never before it returns */
    run_until(seat, is_answered);
}

static struct bytes text_bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

/* Cuts every connection of this process: the server is shared with other tests. */
static void cut_connections(void)
{
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof(peer);

        if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.ss_family != AF_UNIX) {
            (void)shutdown(fd, SHUT_RDWR);
        }
    }
}

/* ---- tests ---- */

static void what_is_set_is_read_until_it_is_deleted(void **state)
{
    struct seat seat;
    struct uuid key = uuid_v7(clock_wall_ms());

    (void)state;
    open_seat(&seat, server);
    run_until(&seat, is_connected);
    assert_int_equal(seat.connected, 1);
    seat.want = 2;
    cache_set(seat.cache, key.text, text_bytes("value"), 60000, on_answer, &seat);
    cache_get(seat.cache, key.text, on_answer, &seat);
    run_until(&seat, is_answered);
    assert_int_equal(seat.rc, 0);
    assert_string_equal(seat.text, "value");
    ask(&seat, (const char *const[]){"PTTL", key.text, NULL});
    assert_int_equal(seat.kind, CACHE_INT);
    cache_del(seat.cache, key.text, NULL, NULL);
    ask(&seat, (const char *const[]){"GET", key.text, NULL});
    assert_int_equal(seat.kind, CACHE_NIL);
    ask(&seat, (const char *const[]){"NO-SUCH-COMMAND", NULL});
    assert_int_equal(seat.rc, -ERR_REFUSED);
    close_seat(&seat);
}

static void a_command_without_a_connection_ends_at_once(void **state)
{
    struct seat seat;

    (void)state;
    open_seat(&seat, "redis://127.0.0.1:1");
    ask(&seat, (const char *const[]){"PING", NULL});
    assert_int_equal(seat.rc, -ERR_CLOSED);
    run_until(&seat, has_trouble);
    cache_get(seat.cache, "k", on_answer, &seat);
    close_seat(&seat); /* with one that was not told yet: it is not told any more */
    assert_int_equal(seat.answers, 1);
}

static void a_wrong_database_is_told(void **state)
{
    struct seat seat;
    char url[128];

    (void)state;
    (void)snprintf(url, sizeof(url), "%s/9999", server);
    open_seat(&seat, url);
    run_until(&seat, has_trouble);
    assert_int_equal(seat.trouble.code, -ERR_REFUSED);
    assert_false(cache_is_connected(seat.cache));
    close_seat(&seat);
}

static void commands_under_way_end_when_the_connection_is_cut(void **state)
{
    struct seat seat;

    (void)state;
    open_seat(&seat, server);
    run_until(&seat, is_connected);
    seat.want = 2;
    cache_command_text(seat.cache, (const char *const[]){"PING", NULL}, on_answer, &seat);
    cache_command_text(seat.cache, (const char *const[]){"PING", NULL}, on_answer, &seat);
    cut_connections();
    run_until(&seat, is_answered);
    assert_int_equal(seat.rc, -ERR_UNCERTAIN);
    assert_int_equal(seat.troubles, 1);
    run_until(&seat, is_connected); /* by itself */
    ask(&seat, (const char *const[]){"PING", NULL});
    assert_string_equal(seat.text, "PONG");
    close_seat(&seat);
}

static void messages_arrive_also_after_a_lost_connection(void **state)
{
    struct seat seat;
    struct uuid channel = uuid_v7(clock_wall_ms());
    const struct cache_listener listener = {on_message, on_began, &seat};
    struct cache_subscription *first;
    struct cache_subscription *second;

    (void)state;
    open_seat(&seat, server);
    first = cache_subscribe(seat.cache, channel.text, &listener);
    run_until(&seat, is_connected);
    seat.want = 1;
    run_until(&seat, has_begun);
    cache_publish(seat.cache, channel.text, text_bytes("one"), NULL, NULL);
    run_until(&seat, has_messages);
    assert_string_equal(seat.message, "one");
    cut_connections();
    seat.want = 2;
    run_until(&seat, has_begun);
    run_until(&seat, is_connected);
    second = cache_subscribe(seat.cache, channel.text, &listener);
    seat.want = 4; /* both hear that it began */
    run_until(&seat, has_begun);
    seat.messages = 0;
    seat.want = 2;
    cache_publish(seat.cache, channel.text, text_bytes("two"), NULL, NULL);
    run_until(&seat, has_messages);
    seat.to_drop = second; /* the next message ends one of the two */
    seat.messages = 0;
    seat.want = 2;
    cache_publish(seat.cache, channel.text, text_bytes("three"), NULL, NULL);
    run_until(&seat, has_messages);
    assert_null(seat.to_drop);
    seat.messages = 0;
    seat.want = 1;
    cache_publish(seat.cache, channel.text, text_bytes("four"), NULL, NULL);
    run_until(&seat, has_messages);
    cache_unsubscribe(&first);
    first = cache_subscribe(seat.cache, channel.text, &listener); /* and back at once */
    seat.want = seat.began + 1;
    run_until(&seat, has_begun);
    cache_unsubscribe(&first);
    close_seat(&seat);
}

static void a_verdict_is_told_to_who_waits_and_kept_for_who_asks_later(void **state)
{
    struct seat seat;
    struct uuid instance = uuid_v7(clock_wall_ms());
    struct uuid command = uuid_v7(clock_wall_ms());
    const struct cache_key key = cache_key_reply(command.text);
    const struct cache_listener listener = {on_message, on_began, &seat};
    struct cache_subscription *waiting;

    (void)state;
    open_seat(&seat, server);
    waiting = cache_subscribe(seat.cache, cache_channel_replies(instance.text).text, &listener);
    run_until(&seat, is_connected);
    seat.want = 1;
    run_until(&seat, has_begun);
    cache_tell_verdict(seat.cache, instance.text, command.text, "one", on_answer, &seat);
    run_until(&seat, is_answered);
    assert_int_equal(seat.rc, 0);
    assert_int_equal(seat.kind,
                     CACHE_INT); /* how many heard of it: the last word was the channel's */
    run_until(&seat, has_messages);
    assert_string_equal(seat.message, "one");
    ask(&seat, (const char *const[]){"GET", key.text, NULL});
    assert_string_equal(seat.text, "one");
    seat.want = seat.answers + 1;
    cache_tell_verdict(seat.cache, NULL, command.text, "two", on_answer, &seat);
    run_until(&seat, is_answered);
    assert_int_equal(seat.messages, 1);
    ask(&seat, (const char *const[]){"GET", key.text, NULL});
    assert_string_equal(seat.text, "two");
    cache_unsubscribe(&waiting);
    close_seat(&seat);
}

/* ---- a server that takes connections and says nothing ---- */

static int listen_silently(char *url, size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(url, size, "redis://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    return fd;
}

static void a_silent_server_is_given_up(void **state)
{
    struct seat seat;
    char url[64];
    int fd = listen_silently(url, sizeof(url));

    (void)state;
    open_seat(&seat, url);
    run_until(&seat, has_trouble);
    assert_non_null(strstr(seat.trouble.text, "no connection in time"));
    close_seat(&seat);
    (void)close(fd);
}

/* ---- threads that may wait ---- */

static void the_pool_answers_and_survives_a_cut(void **state)
{
    struct cache_pool_options options = {.url = server, .connections = 1};
    struct cache_pool *pool = NULL;
    struct cache_reply reply;
    struct arena arena = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(cache_pool_new(&options, &pool, NULL), 0);
    assert_int_equal(cache_pool_command_text(pool, (const char *const[]){"ECHO", "hello", NULL},
                                             &arena, &reply, &err),
                     0);
    assert_string_equal((const char *)reply.text.p, "hello");
    assert_int_equal(
        cache_pool_command_text(pool, (const char *const[]){"NO-SUCH", NULL}, &arena, &reply, &err),
        -ERR_REFUSED);
    cut_connections();
    assert_int_equal(
        cache_pool_command_text(pool, (const char *const[]){"TIME", NULL}, &arena, &reply, &err),
        0);
    assert_int_equal(reply.kind, CACHE_LIST);
    assert_int_equal(reply.n, 2);
    cache_pool_free(&pool);
    arena_done(&arena);
}

static void the_pool_fails_at_once_while_the_server_is_away(void **state)
{
    char url[64];
    int fd = listen_silently(url, sizeof(url));
    struct cache_pool_options options = {.url = url, .timeout_ms = 300};
    struct cache_pool *pool = NULL;
    struct cache_reply reply;
    struct arena arena = {0};
    int64_t began;

    (void)state;
    assert_int_equal(cache_pool_new(&options, &pool, NULL), 0);
    assert_int_equal(
        cache_pool_command_text(pool, (const char *const[]){"PING", NULL}, &arena, &reply, NULL),
        -ERR_CLOSED);
    began = clock_mono_ms();
    assert_int_equal(
        cache_pool_command_text(pool, (const char *const[]){"PING", NULL}, &arena, &reply, NULL),
        -ERR_CLOSED);
    assert_true(clock_mono_ms() - began < 200);
    cache_pool_free(&pool);
    (void)close(fd);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_is_read_until_it_is_deleted),
        cmocka_unit_test(a_command_without_a_connection_ends_at_once),
        cmocka_unit_test(a_wrong_database_is_told),
        cmocka_unit_test(commands_under_way_end_when_the_connection_is_cut),
        cmocka_unit_test(messages_arrive_also_after_a_lost_connection),
        cmocka_unit_test(a_verdict_is_told_to_who_waits_and_kept_for_who_asks_later),
        cmocka_unit_test(a_silent_server_is_given_up),
        cmocka_unit_test(the_pool_answers_and_survives_a_cut),
        cmocka_unit_test(the_pool_fails_at_once_while_the_server_is_away),
    };

    server = testkit_env("KENTONGAN_TEST_REDIS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
