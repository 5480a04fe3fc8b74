/* Stanzas, requests, ends and broken bytes: client against host. */
#include "wa/wa_client_test.h"

/* ---- stanzas ---- */

static void stanzas_are_events_and_are_acked_when_told(void **state)
{
    static const char *const tags[] = {"message", "receipt", "notification", "call"};
    struct fixture *f = *state;

    log_in(f);
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        struct wa_node *node = wa_node_new(&f->arena, tags[i]);
        struct wa_jid from = wa_jid_make(WA_SERVER_LID, "88", 3);
        struct wa_jid to;
        size_t before = f->nodes_n;

        wa_node_set_jid(node, "from", &from);
        wa_node_set_jid(node, "participant", &from);
        wa_node_set(node, "id", "3EB0AA");
        host_says(f, node);
        assert_int_equal(last_event(f)->kind, WA_EVENT_STANZA);
        assert_string_equal(last_event(f)->text, tags[i]);
        assert_int_equal(f->nodes_n, before);
        assert_int_equal(wa_client_ack(f->client, wa_node_copy_head(&f->arena, node), 0, NULL), 0);
        run(f);
        assert_true(wa_node_is(last_node(f), "ack"));
        assert_true(wa_node_attr_is(last_node(f), "class", tags[i]));
        assert_true(wa_node_attr_jid(last_node(f), "to", &to) && wa_jid_equal(&to, &from));
    }
}

/* The login goes on, with the time of our own clock. */
static void a_server_with_no_sense_of_time_is_not_believed(void **state)
{
    struct fixture *f = *state;
    struct wa_node *success = node_of(f, "success");

    pair(f);
    connect_both(f);
    wa_node_set(success, "t", "9223372036854775");
    host_says(f, success);
    assert_int_equal(last_event(f)->kind, WA_EVENT_LOGGED_IN);
    assert_int_equal(last_event(f)->number, 0);
}

static void ib_stanzas_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct wa_node *ib;

    log_in(f);
    ib = wa_node_new(&f->arena, "ib");
    wa_node_set(wa_node_child(ib, "offline_preview"), "count", "12");
    host_says(f, ib);
    assert_int_equal(last_event(f)->kind, WA_EVENT_OFFLINE_PREVIEW);
    assert_int_equal(last_event(f)->number, 12);
    ib = wa_node_new(&f->arena, "ib");
    wa_node_set(wa_node_child(ib, "offline"), "count", "0");
    host_says(f, ib);
    assert_int_equal(last_event(f)->kind, WA_EVENT_OFFLINE_DONE);
    ib = wa_node_new(&f->arena, "ib");
    wa_node_set_be(wa_node_child(wa_node_child(ib, "edge_routing"), "routing_info"), 5, 8);
    host_says(f, ib);
    assert_int_equal(last_event(f)->kind, WA_EVENT_ROUTING);
    ib = wa_node_new(&f->arena, "ib");
    wa_node_set(wa_node_child(ib, "dirty"), "type", "groups");
    host_says(f, ib);
    assert_true(wa_node_attr_is(wa_node_find(last_node(f), "clean"), "type", "groups"));
}

static void a_ping_of_the_server_is_answered(void **state)
{
    struct fixture *f = *state;
    struct wa_node *iq;

    log_in(f);
    iq = node_of(f, "iq");
    wa_node_set(iq, "type", "get");
    wa_node_set(iq, "xmlns", "urn:xmpp:ping");
    wa_node_set(iq, "id", "s1");
    host_says(f, iq);
    assert_true(wa_node_attr_is(last_node(f), "type", "result"));
    assert_true(wa_node_attr_is(last_node(f), "id", "s1"));
}

/* ---- requests ---- */

static void requests_get_their_own_answers(void **state)
{
    struct fixture *f = *state;
    struct wa_node *iq;

    log_in(f);
    iq = wa_node_iq(&f->arena, "get", "usync", NULL);
    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), 0);
    run(f);
    assert_int_equal(f->replies, 0);
    host_says(f, wa_iq_error(&f->arena, last_node(f), 404, "item-not-found"));
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->reply_rc, -ERR_REFUSED);
    assert_int_equal(f->reply_code, 404);
    host_says(f, wa_iq_result(&f->arena, last_node(f))); /* once only */
    assert_int_equal(f->replies, 1);

    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), 0);
    run(f);
    host_says(f, wa_iq_result(&f->arena, last_node(f)));
    assert_int_equal(f->replies, 2);
    assert_int_equal(f->reply_rc, 0);
}

static void requests_time_out_and_fail_with_the_connection(void **state)
{
    struct fixture *f = *state;
    struct wa_node *iq;

    log_in(f);
    iq = wa_node_iq(&f->arena, "get", "usync", NULL);
    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), 0);
    for (int i = 0; i < 8; i++) { /* alive, but without that answer */
        pass(f, 10000);
        host_says(f, node_of(f, "presence"));
    }
    assert_int_equal(f->reply_rc, -ERR_TIMEOUT);
    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), 0);
    wa_client_socket_closed(f->client);
    assert_int_equal(f->replies, 2);
    assert_int_equal(f->reply_rc, -ERR_CLOSED);
    assert_ended(f, WA_END_SOCKET, 0);
    assert_int_equal(wa_client_request(f->client, iq, f->now_ms, on_reply, f, NULL), -ERR_CLOSED);
}

static void only_so_many_requests_wait(void **state)
{
    struct fixture *f = *state;
    int rc = 0;
    int n = 0;

    log_in(f);
    while (rc == 0) {
        rc = wa_client_request(f->client, wa_node_iq(&f->arena, "get", "usync", NULL), f->now_ms,
                               on_reply, f, NULL);
        n++;
        clear_pipe(&f->to_host);
    }
    assert_int_equal(rc, -ERR_LIMIT);
    assert_int_equal(n, WA_CLIENT_REQUESTS_MAX + 1);
}

/* ---- ends ---- */

static void failures_mean_what_the_table_says(void **state)
{
    static const struct {
        int reason;
        enum wa_end end;
    } cases[] = {
        {400, WA_END_REFUSED},     {401, WA_END_LOGGED_OUT},   {402, WA_END_BANNED_FOR_NOW},
        {403, WA_END_LOGGED_OUT},  {405, WA_END_OUTDATED},     {406, WA_END_BANNED},
        {409, WA_END_REFUSED},     {415, WA_END_REFUSED},      {500, WA_END_UNAVAILABLE},
        {503, WA_END_UNAVAILABLE}, {429, WA_END_RATE_LIMITED},
    };
    struct fixture *f = *state;

    pair(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wa_node *node = wa_node_new(&f->arena, "failure");

        connect_both(f);
        wa_node_set_int(node, "reason", cases[i].reason);
        wa_node_set(node, "expire", "3600");
        host_says(f, node);
        assert_ended(f, cases[i].end, cases[i].reason);
        assert_int_equal(last_event(f)->number, cases[i].end == WA_END_BANNED_FOR_NOW ? 3600 : 0);
    }
}

static void stream_errors_mean_what_the_table_says(void **state)
{
    static const struct {
        const char *conflict;
        int code;
        enum wa_end end;
    } cases[] = {
        {"device_removed", 401, WA_END_LOGGED_OUT},
        {"replaced", 0, WA_END_REPLACED},
        {NULL, 503, WA_END_UNAVAILABLE},
        {NULL, 515, WA_END_RESTART},
        {NULL, 429, WA_END_RATE_LIMITED},
        {NULL, 401, WA_END_STREAM},
        {NULL, 0, WA_END_STREAM},
    };
    struct fixture *f = *state;

    pair(f);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        connect_both(f);
        say_stream_error(f, cases[i].code, cases[i].conflict);
        assert_ended(f, cases[i].end, cases[i].code);
    }
}

/* What a server says of an end becomes part of an event. */
static void what_is_said_of_an_end_has_a_limit(void **state)
{
    enum { MUCH = 1100000 };
    struct fixture *f = *state;
    struct wa_node *node = node_of(f, "failure");
    char *much = arena_new0(&f->arena, MUCH + 1);

    much[0] = 'x'; /* so that the limit falls into a character */
    for (size_t i = 1; i + 1 < MUCH; i += 2) {
        much[i] = '\xc3';
        much[i + 1] = '\xa9';
    }
    pair(f);
    connect_both(f);
    wa_node_set(node, "reason", "409");
    wa_node_set(node, "message", much);
    host_says(f, node);
    assert_ended(f, WA_END_REFUSED, 409);
    assert_int_equal(strlen(last_event(f)->text), WA_CLIENT_DETAIL_MAX - 1);

    connect_both(f);
    node = node_of(f, "stream:error");
    (void)wa_node_child(node, much);
    host_says(f, node);
    assert_ended(f, WA_END_STREAM, 0);
    assert_int_equal(strlen(last_event(f)->text), WA_CLIENT_DETAIL_MAX - 1);
}

static void the_client_may_be_freed_inside_any_event(void **state)
{
    static const enum wa_event_kind kinds[] = {WA_EVENT_LOGGED_IN, WA_EVENT_PREKEYS_WANTED,
                                               WA_EVENT_READY, WA_EVENT_ENDED};
    struct fixture *f = *state;

    pair(f);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        connect_both(f);
        f->free_at = kinds[i];
        f->frees = true;
        say_success(f);
        if (f->client != NULL) {
            answer_last(f, "encrypt", kinds[i] == WA_EVENT_PREKEYS_WANTED ? "0" : "9");
        }
        if (f->client != NULL) {
            answer_last(f, "passive", NULL);
        }
        if (f->client != NULL) {
            wa_client_socket_closed(f->client);
        }
        assert_null(f->client);
        f->frees = false;
    }
}

/* ---- bytes ---- */

static void a_repeated_or_changed_frame_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    struct buf *message;

    log_in(f);
    assert_int_equal(wa_host_send(f->host, node_of(f, "presence"), NULL), 0);
    message = &f->to_client.messages[f->to_client.n - 1];
    run(f);
    wa_client_feed(f->client, buf_bytes(message), f->now_ms);
    assert_ended(f, WA_END_PROTOCOL, 0);

    connect_both(f);
    assert_int_equal(wa_host_send(f->host, node_of(f, "presence"), NULL), 0);
    f->to_client.messages[f->to_client.n - 1].p[5] ^= 1;
    run(f);
    assert_ended(f, WA_END_PROTOCOL, 0);

    connect_both(f); /* and the host takes no repeats either */
    assert_int_equal(wa_client_send(f->client, node_of(f, "presence"), NULL), 0);
    push(&f->to_host, buf_bytes(&f->to_host.messages[f->to_host.n - 1]));
    run(f);
    assert_int_equal(f->host_rc, -ERR_CRYPTO);
    assert_int_equal(wa_host_feed(f->host, (struct bytes){0}, NULL), -ERR_CLOSED);
}

/* Carry what waits in @pipe, glued together and cut into pieces of @step. */
static void carry_cut(struct fixture *f, struct pipe *pipe, size_t step)
{
    struct buf all = {0};

    while (pipe->taken < pipe->n) {
        struct buf *message = &pipe->messages[pipe->taken++];

        buf_add(&all, message->p, message->n);
    }
    for (size_t at = 0; at < all.n; at += step) {
        struct bytes piece = {all.p + at, step < all.n - at ? step : all.n - at};

        if (pipe == &f->to_host) {
            assert_int_equal(wa_host_feed(f->host, piece, NULL), 0);
        } else {
            wa_client_feed(f->client, piece, f->now_ms);
        }
    }
    buf_done(&all);
}

static void messages_cut_at_every_byte_say_the_same(void **state)
{
    struct fixture *f = *state;

    pair(f);
    for (size_t step = 1; step < 60; step++) {
        hang_up(f);
        f->host_rc = 0;
        f->client = wa_client_new(&f->client_config, &client_ops, f);
        f->host = wa_host_new(&f->host_config, &host_ops, f);
        wa_client_open(f->client, f->now_ms, (int64_t)WALL_S * 1000);
        carry_cut(f, &f->to_host, step);
        carry_cut(f, &f->to_client, step);
        carry_cut(f, &f->to_host, step);
        assert_true(f->has_payload);
        assert_int_equal(wa_host_send(f->host, wa_node_new(&f->arena, "success"), NULL), 0);
        assert_int_equal(wa_host_send(f->host, node_of(f, "presence"), NULL), 0);
        carry_cut(f, &f->to_client, step);
        carry_cut(f, &f->to_host, step);
        assert_int_equal(f->events_n, 2);
        assert_int_equal(f->events[0].kind, WA_EVENT_LOGGED_IN);
        assert_int_equal(f->events[1].kind, WA_EVENT_OTHER);
        assert_int_equal(f->nodes_n, 2);
    }
}

static void a_frame_that_is_no_node_is_skipped(void **state)
{
    struct fixture *f = *state;

    static const struct bytes rubbish = {(const uint8_t *)"\x00\xf8\x00", 3};

    log_in(f);
    assert_int_equal(wa_host_send_packed(f->host, rubbish, NULL), 0);
    host_says(f, node_of(f, "presence"));
    assert_int_equal(f->events[f->events_n - 2].kind, WA_EVENT_DROPPED);
    assert_int_equal(last_event(f)->kind, WA_EVENT_OTHER);
    assert_int_equal(wa_client_send_packed(f->client, rubbish, NULL), 0);
    run(f);
    assert_int_equal(f->host_rc, -ERR_INVALID); /* a host is strict */
}

static void every_prefix_of_the_handshake_is_harmless(void **state)
{
    struct fixture *f = *state;
    struct buf hello = {0};

    connect_both(f);
    buf_add(&hello, f->to_client.messages[0].p, f->to_client.messages[0].n);
    for (size_t n = 0; n < hello.n; n++) {
        hang_up(f);
        f->client = wa_client_new(&f->client_config, &client_ops, f);
        wa_client_open(f->client, f->now_ms, (int64_t)WALL_S * 1000);
        wa_client_feed(f->client, (struct bytes){hello.p, n}, f->now_ms);
        assert_int_equal(f->events_n, 0);
    }
    hello.p[40] ^= 1;
    wa_client_feed(f->client, buf_bytes(&hello), f->now_ms);
    assert_ended(f, WA_END_HANDSHAKE, 0);
    buf_done(&hello);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(stanzas_are_events_and_are_acked_when_told),
        T(a_server_with_no_sense_of_time_is_not_believed),
        T(ib_stanzas_are_told_apart),
        T(a_ping_of_the_server_is_answered),
        T(requests_get_their_own_answers),
        T(requests_time_out_and_fail_with_the_connection),
        T(only_so_many_requests_wait),
        T(failures_mean_what_the_table_says),
        T(stream_errors_mean_what_the_table_says),
        T(what_is_said_of_an_end_has_a_limit),
        T(the_client_may_be_freed_inside_any_event),
        T(a_repeated_or_changed_frame_ends_the_stream),
        T(messages_cut_at_every_byte_say_the_same),
        T(a_frame_that_is_no_node_is_skipped),
        T(every_prefix_of_the_handshake_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
