#include "webhooks/poster_tester.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testkit/testkit.h"
#include "webhooks/gate.h"

static void the_answer_decides(void **state)
{
    struct desk desk;

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 5000);
    desk_post(&desk, "/ok");
    assert_int_equal(desk.status, 204);
    assert_string_equal(desk.error, "");
    assert_non_null(strstr(poster_server_last(desk.server), "POST /ok HTTP/1.1\r\n"));
    assert_non_null(strstr(poster_server_last(desk.server), "\r\nX-Test: 1\r\n"));
    assert_non_null(strstr(poster_server_last(desk.server), "\r\n\r\n{\"a\":1}"));
    desk_post(&desk, "/no");
    assert_int_equal(desk.status, 500);
    assert_string_equal(desk.error, "the answer is not 2xx");
    desk_post(&desk, "/away");
    assert_int_equal(desk.status, 302);
    assert_string_equal(desk.error, "redirects are not followed");
    assert_int_equal(poster_server_requests(desk.server), 3);
    desk_post(&desk, "/big"); /* is not read to its end */
    assert_int_equal(desk.status, 200);
    assert_string_equal(desk.error, "");
    desk_close(&desk);
}

static void what_cannot_be_reached_is_told(void **state)
{
    struct desk desk;

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 300);
    desk_post(&desk, "/silent");
    assert_int_equal(desk.status, 0);
    assert_string_equal(desk.error, "no answer in time");
    desk_post(&desk, "http://127.0.0.1:1/");
    assert_int_equal(desk.status, 0);
    desk_post(&desk, "ftp://127.0.0.1/");
    assert_string_equal(desk.error, "its URL cannot be read");
    desk_post(&desk, "http://");
    assert_string_equal(desk.error, "its URL cannot be read");
    desk_close(&desk);
}

static void an_answer_may_ask_for_a_wait(void **state)
{
    struct desk desk;

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 5000);
    desk_post(&desk, "/busy");
    assert_int_equal(desk.status, 429);
    assert_int_equal(desk.retry_after_s, 7);
    desk_post(&desk, "/down");
    assert_int_equal(desk.status, 503);
    assert_int_equal(desk.retry_after_s, 7);
    desk_post(&desk, "/date");
    assert_int_equal(desk.status, 503);
    assert_in_range(desk.retry_after_s, 100, 120);
    desk_post(&desk, "/past");
    assert_int_equal(desk.retry_after_s, 0);
    desk_post(&desk, "/odd");
    assert_int_equal(desk.retry_after_s, 0);
    desk_post(&desk, "/ok");
    assert_int_equal(desk.retry_after_s, 0);
    desk_close(&desk);
}

static void a_proxy_of_the_environment_is_not_used(void **state)
{
    static const char *const names[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
    struct desk desk;

    (void)state;
    for (size_t i = 0; i < 3;
         i++) { /* nobody listens there; NOLINTNEXTLINE(concurrency-mt-unsafe) */
        assert_int_equal(setenv(names[i], "http://127.0.0.1:1", 1), 0);
    }
    desk_open(&desk, "127.0.0.0/8", 5000);
    desk_post(&desk, "/ok");
    assert_int_equal(desk.status, 204);
    desk_close(&desk);
    for (size_t i = 0; i < 3; i++) { /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
        assert_int_equal(unsetenv(names[i]), 0);
    }
}

static void slow_subscribers_hold_up_nobody_else_at_their_host_or_another(void **state)
{
    enum { SLOW = GATE_QUICK_PER_HOST + 4 };
    struct desk desk;
    struct post *posts[SLOW];
    char other[64];

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 60000);
    for (int i = 0; i < SLOW; i++) { /* none of them ever answers */
        posts[i] = desk_start(&desk, "/silent");
    }
    assert_int_equal(poster_running(desk.poster), GATE_QUICK_PER_HOST);
    assert_int_equal(poster_waiting(desk.poster), 4);
    (void)snprintf(other, sizeof(other), "http://localhost:%u/ok", poster_server_port(desk.server));
    desk_post(&desk, other);
    assert_int_equal(desk.status, 204);
    for (unsigned i = 0; i < 10; i++) {
        desk_post(&desk, "/ok");
        assert_int_equal(desk.status, 204);
    }
    assert_int_equal(poster_running(desk.poster), SLOW);
    assert_int_equal(poster_server_silent_most(desk.server), SLOW);
    for (int i = 0; i < SLOW; i++) {
        post_cancel(&posts[i]);
    }
    assert_int_equal(poster_running(desk.poster) + poster_waiting(desk.poster), 0);
    desk_close(&desk);
}

static void who_is_known_to_be_slow_costs_the_others_nothing(void **state)
{
    enum { SLOW = GATE_SLOW_PER_HOST + 24 };
    struct desk desk;
    struct post *posts[SLOW];

    (void)state;
    desk_open(&desk, "127.0.0.0/8", GATE_SLOW_MS + 500);
    desk_post(&desk, "/silent");
    assert_true(desk.was_slow);
    desk_post(&desk, "/ok");
    assert_false(desk.was_slow);
    desk.is_slow = true;
    for (int i = 0; i < SLOW; i++) {
        posts[i] = desk_start(&desk, "/silent");
    }
    desk.is_slow = false;
    assert_int_equal(poster_running(desk.poster), GATE_SLOW_PER_HOST);
    desk_post(&desk, "/ok");
    assert_int_equal(desk.status, 204);
    assert_int_equal(poster_waiting(desk.poster), SLOW - GATE_SLOW_PER_HOST);
    for (int i = 0; i < SLOW; i++) {
        post_cancel(&posts[i]);
    }
    desk_close(&desk);
}

static void a_cancelled_post_is_not_told(void **state)
{
    struct desk desk;
    struct post *posts[GATE_QUICK_PER_HOST + 1];
    struct post *unreadable;

    (void)state;
    desk_open(&desk, "127.0.0.0/8", 5000);
    for (int i = 0; i <= GATE_QUICK_PER_HOST; i++) {
        posts[i] = desk_start(&desk, "/ok");
    }
    unreadable = desk_start(&desk, "http://");
    post_cancel(&posts[0]);                   /* under way */
    post_cancel(&posts[GATE_QUICK_PER_HOST]); /* in line */
    post_cancel(&unreadable);
    assert_null(unreadable);
    desk_finish(&desk, GATE_QUICK_PER_HOST - 1);
    desk_post(&desk, "/ok");
    assert_int_equal(desk.done, GATE_QUICK_PER_HOST);
    posts[0] = desk_start(&desk, "/silent");
    post_cancel(&posts[0]);
    desk_close(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_decides),
        cmocka_unit_test(what_cannot_be_reached_is_told),
        cmocka_unit_test(an_answer_may_ask_for_a_wait),
        cmocka_unit_test(a_proxy_of_the_environment_is_not_used),
        cmocka_unit_test(slow_subscribers_hold_up_nobody_else_at_their_host_or_another),
        cmocka_unit_test(who_is_known_to_be_slow_costs_the_others_nothing),
        cmocka_unit_test(a_cancelled_post_is_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
