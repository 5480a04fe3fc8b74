/* The scheduler as a process, between a log and a database: what a blast goes through. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "scheduler/scheduler_tester.h"
#include "testkit/testkit.h"

enum { WINDOW = 64, PARKED_AT_ONCE = 64 };

struct fixture {
    struct loop *loop;
    struct station station;
};

static int set_up(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));

    *state = f;
    if (loop_new(&f->loop, NULL) < 0) {
        return -1;
    }
    station_open(&f->station, f->loop);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    station_close(&f->station);
    loop_free(&f->loop);
    test_free(f);
    return 0;
}

static struct station *begin(void **state)
{
    struct station *s = &((struct fixture *)*state)->station;

    station_connect(s);
    station_start(s);
    return s;
}

static void is_well(const struct station *s)
{
    if (s->broken[0] != '\0') {
        fail_msg("%s", s->broken);
    }
}

static void check(struct station *s, const struct station_blast *blast,
                  enum blast_command_kind kind, const char *code)
{
    assert_string_equal(station_verdict(s, station_command(s, blast, kind)), code);
}

static struct station_blast *running(struct station *s, int32_t total, const char *config)
{
    struct station_blast *blast = station_upload(s, total, 100);

    assert_string_equal(station_verdict(s, station_create(s, blast, config, true)), "OK");
    station_until_status(s, blast, BLAST_RUNNING);
    return blast;
}

/* The connector works on what it was handed over so far. */
static void settle(struct station *s, struct station_blast *blast, enum message_event_kind kind)
{
    for (int32_t i = 0; i < blast->total; i++) {
        if (blast->times[i] > 0 && blast->message[i] == MESSAGE_PENDING) {
            if (kind == MESSAGE_EVENT_SENT) {
                station_message(s, blast, i, MESSAGE_EVENT_DISPATCHED);
            }
            station_message(s, blast, i, kind);
        }
    }
}

struct counted {
    const struct station_blast *blast;
    int32_t sent, delivered, read;
};

static bool has_counts(void *ctx)
{
    const struct counted *wanted = ctx;
    const struct blast_counts *c = &wanted->blast->state.counts;

    return c->sent == wanted->sent && c->delivered == wanted->delivered && c->read == wanted->read;
}

static void until_counts(struct station *s, const struct station_blast *blast, int32_t sent,
                         int32_t delivered, int32_t read)
{
    struct counted wanted = {blast, sent, delivered, read};

    station_until(s, has_counts, &wanted, "counters");
}

static int64_t parked(struct station *s)
{
    return testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.parked");
}

struct parked_wanted {
    struct station *station;
    int64_t n;
};

static bool has_parked(void *ctx)
{
    const struct parked_wanted *wanted = ctx;

    return parked(wanted->station) == wanted->n;
}

static void until_parked(struct station *s, int64_t n)
{
    struct parked_wanted wanted = {s, n};

    station_until(s, has_parked, &wanted, "commands to be parked");
}

/* ---- life ---- */

static void a_blast_goes_from_create_to_completed(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 250, 100);

    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, false)), "OK");
    station_until_status(s, blast, BLAST_IDLE);
    assert_int_equal(blast->n_handed, 0);
    check(s, blast, BLAST_COMMAND_START, "OK");
    station_until_status(s, blast, BLAST_COMPLETED);
    assert_int_equal(blast->n_handed, 250);
    assert_int_equal(blast->state.counts.sent, 250);
    assert_string_equal(s->text, "Hi Person 249, 249!");
    assert_string_equal(s->recipient, "62810000249");
    assert_int_equal(s->not_after, 0);
    assert_true(blast->most_unsettled <= WINDOW);
    assert_int_equal(station_stop(s), 0);
    is_well(s);
}

static void pause_is_at_once_and_resume_goes_on(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast;

    s->way = STATION_HOLD;
    blast = running(s, 200, NULL);
    station_until_handed(s, blast, WINDOW);
    check(s, blast, BLAST_COMMAND_PAUSE, "OK");
    check(s, blast, BLAST_COMMAND_PAUSE, "INVALID_STATE");
    station_until_status(s, blast, BLAST_PAUSED);
    settle(s, blast, MESSAGE_EVENT_SENT); /* what was in the window finishes and counts */
    until_counts(s, blast, WINDOW, 0, 0);
    station_fence(s);
    assert_int_equal(station_handed(s), WINDOW);
    s->way = STATION_SEND;
    check(s, blast, BLAST_COMMAND_START, "INVALID_STATE");
    check(s, blast, BLAST_COMMAND_RESUME, "OK");
    station_until_status(s, blast, BLAST_COMPLETED);
    assert_int_equal(blast->state.counts.sent, 200);
    assert_int_equal(blast->kinds[BLAST_EVENT_RESUMED], 1);
    is_well(s);
}

static void stop_cancels_the_rest_as_one_range(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast;

    s->way = STATION_HOLD;
    blast = running(s, 5000, NULL);
    station_until_handed(s, blast, WINDOW);
    check(s, blast, BLAST_COMMAND_STOP, "OK");
    station_until_status(s, blast, BLAST_STOPPED);
    settle(s, blast, MESSAGE_EVENT_SENT);
    until_counts(s, blast, WINDOW, 0, 0);
    assert_int_equal(blast->n_cancelled, 5000 - WINDOW);
    assert_int_equal(blast->kinds[BLAST_EVENT_RECIPIENTS_CANCELLED], 1);
    assert_int_equal(blast->n_handed, WINDOW);
    check(s, blast, BLAST_COMMAND_RESUME, "INVALID_STATE");
    is_well(s);
}

static bool has_no_chunks(void *ctx)
{
    struct station *s = ctx;

    return testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.recipient_chunk") == 0;
}

static void a_deleted_blast_leaves_its_id_taken(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 30, 10);

    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, false)), "OK");
    check(s, blast, BLAST_COMMAND_REMOVE, "OK");
    check(s, blast, BLAST_COMMAND_REMOVE, "NOT_FOUND");
    check(s, blast, BLAST_COMMAND_START, "NOT_FOUND");
    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, false)), "EXISTS");
    station_until(s, has_no_chunks, s, "the sweep of its recipients");
    is_well(s);
}

/* ---- commands ---- */

static void a_command_sent_again_gets_its_first_answer(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 30, 10);
    struct uuid id;
    struct blast_command start = station_command_of(s, blast, BLAST_COMMAND_START, &id);

    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, false)), "OK");
    for (int i = 0; i < 3; i++) {
        station_send(s, &start);
    }
    assert_string_equal(station_verdict(s, id), "OK");
    check(s, blast, BLAST_COMMAND_START, "INVALID_STATE");
    start.deadline = 1; /* an answer that is there is given again, however late */
    station_send(s, &start);
    station_until_status(s, blast, BLAST_COMPLETED);
    assert_int_equal(blast->kinds[BLAST_EVENT_STARTED], 1);
    assert_string_equal(station_verdict(s, id), "OK");
    is_well(s);
}

/* It does nothing, and nothing is kept of it: the same command is decided when it comes in time. */
static void a_command_past_its_deadline_is_not_decided(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 30, 10);
    struct uuid id;
    struct blast_command pause = station_command_of(s, blast, BLAST_COMMAND_PAUSE, &id);

    int64_t in_time = pause.deadline;

    pause.deadline = 1;
    station_send(s, &pause);
    check(s, blast, BLAST_COMMAND_START, "NOT_FOUND"); /* behind it */
    assert_int_equal(testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.command_verdict"), 1);
    pause.deadline = in_time;
    station_send(s, &pause);
    assert_string_equal(station_verdict(s, id), "NOT_FOUND");
    is_well(s);
}

static void start_waits_for_the_events_that_ingress_saw(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 30, 10);
    struct uuid id;
    struct uuid behind;
    struct blast_command start = station_command_of(s, blast, BLAST_COMMAND_START, &id);

    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, false)), "OK");
    start.has_session_sequence = true;
    start.session_sequence = s->session_sequence + 2;
    station_session(s, SESSION_EVENT_CONNECTION_LOST);
    station_send(s, &start);
    behind = station_command(s, blast, BLAST_COMMAND_PAUSE); /* keeps its place */
    until_parked(s, 2);
    station_fence(s);
    assert_int_equal(parked(s), 2);
    assert_int_equal(blast->kinds[BLAST_EVENT_STARTED], 0);
    station_session(s, SESSION_EVENT_LOGGED_IN);
    assert_string_equal(station_verdict(s, id), "OK");
    assert_string_equal(station_verdict(s, behind), "OK");
    station_until_status(s, blast, BLAST_PAUSED);
    assert_int_equal(testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.parked"), 0);
    is_well(s);
}

static void start_without_a_connected_session_is_refused(void **state)
{
    struct station *s = &((struct fixture *)*state)->station;
    struct station_blast *blast;

    station_start(s);
    blast = station_upload(s, 30, 10);
    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, true)),
                        "WHATSAPP_SESSION_NOT_FOUND");
    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, false)), "OK");
    check(s, blast, BLAST_COMMAND_START, "WHATSAPP_SESSION_NOT_FOUND");
    station_session(s, SESSION_EVENT_CREATED);
    station_until_session(s);
    check(s, blast, BLAST_COMMAND_START, "WHATSAPP_SESSION_NOT_CONNECTED");
    is_well(s);
}

/* ---- what others write ---- */

/* A create for recipients that have not all been written. */
static struct blast_command create_of(struct station *s, struct station_blast *blast,
                                      struct uuid *id)
{
    struct blast_command create = station_command_of(s, blast, BLAST_COMMAND_CREATE, id);

    create.as.create = (struct create_blast){.blast_key = "k",
                                             .session_key = "sales",
                                             .campaign_name = "c",
                                             .message_template = "t",
                                             .total_messages = blast->total,
                                             .upload_id = blast->upload_id,
                                             .chunk_count = blast->chunks,
                                             .recipients_sha256 = blast->sha256,
                                             .last_chunk_offset = blast->last_offset + 1,
                                             .config = ""};
    return create;
}

static int64_t verdicts_on(struct station *s, struct uuid id)
{
    char sql[160];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM scheduler.command_verdict WHERE command_id = '%s'",
                   id.text);
    return testkit_pg_int(&s->db, sql);
}

/* The limit ends it for good: who asks again hears it again. */
static void more_recipients_than_the_scheduler_takes_are_refused(void **state)
{
    struct station *s = &((struct fixture *)*state)->station;
    struct station_blast *blast;
    struct uuid id;

    station_set(s, "BLAST_RECIPIENTS_MAX", "20");
    station_connect(s);
    station_start(s);
    blast = station_upload(s, 30, 10);
    id = station_create(s, blast, NULL, false);
    assert_string_equal(station_verdict(s, id), "INVALID_REQUEST");
    assert_non_null(strstr(station_message_of(s, id), "at most 20 recipients"));
    is_well(s);
}

/* And is no verdict on the command, which may come again when fewer wait. */
static void too_many_commands_that_wait_are_refused_for_the_moment(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 30, 10);
    struct uuid first;
    struct uuid last;
    struct blast_command create = create_of(s, blast, &first);
    struct blast_command pause = station_command_of(s, blast, BLAST_COMMAND_PAUSE, &last);

    station_send(s, &create);
    for (int i = 1; i < PARKED_AT_ONCE; i++) {
        (void)station_command(s, blast, BLAST_COMMAND_PAUSE);
    }
    until_parked(s, PARKED_AT_ONCE);
    station_send(s, &pause);
    station_fence(s);
    assert_int_equal(parked(s), PARKED_AT_ONCE);
    assert_int_equal(verdicts_on(s, last), 0);
    (void)station_upload(s, 10, 10); /* the offset that the create waits for */
    assert_string_equal(station_verdict(s, first), "OK");
    until_parked(s, 0);
    station_send(s, &pause);
    assert_string_equal(station_verdict(s, last), "INVALID_STATE");
    is_well(s);
}

static void one_command_id_for_two_blasts_has_one_answer(void **state)
{
    struct station *s = begin(state);
    struct station_blast *one = station_upload(s, 30, 10);
    struct station_blast *other = station_upload(s, 30, 10);
    struct uuid id;
    struct uuid unused;
    struct blast_command first = create_of(s, one, &id);
    struct blast_command second = create_of(s, other, &unused);

    first.as.create.last_chunk_offset = second.as.create.last_chunk_offset;
    second.command_id = id.text;
    station_send(s, &first);
    station_send(s, &second);
    until_parked(s, 1);
    station_fence(s);
    assert_int_equal(parked(s), 1);
    (void)station_upload(s, 10, 10);
    assert_string_equal(station_verdict(s, id), "OK");
    station_until_status(s, one, BLAST_IDLE);
    until_parked(s, 0);
    assert_string_equal(station_verdict(s, station_create(s, other, NULL, false)), "OK");
    assert_int_equal(verdicts_on(s, id), 1);
    is_well(s);
}

/* By the scheduler of another partition, to which somebody gave the same id. */
static void an_id_that_another_partition_takes_meanwhile_is_taken(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 30, 10);
    struct uuid id;
    struct blast_command create = create_of(s, blast, &id);
    char sql[512];

    station_send(s, &create);
    until_parked(s, 1);
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO scheduler.blast SELECT '%s', %d, '%s', '{}', 'u', 't', '', NULL, "
                   "0, 0, 0, 0, 0, 0, 0, false, false",
                   blast->uuid, (s->partition + 1) % 6, s->session);
    testkit_pg_run(&s->db, sql);
    (void)station_upload(s, 10, 10);
    assert_string_equal(station_verdict(s, id), "EXISTS");
    until_parked(s, 0);
    assert_int_equal(blast->state.status, BLAST_NONE);
    is_well(s);
}

/* ---- recipients ---- */

static void a_create_waits_for_recipients_that_come_late(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 300, 100);
    struct station_blast *late = station_upload(s, 300, 100);
    struct uuid id;
    struct blast_command create = create_of(s, late, &id);

    create.as.create.last_chunk_offset = late->last_offset + 3;
    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, false)), "OK");
    testkit_pg_run(&s->db, "DELETE FROM scheduler.recipient_chunk WHERE upload_id = 'upload-2'");
    station_send(s, &create);
    station_send(s, &create); /* the same again while it waits */
    until_parked(s, 1);
    station_fence(s);
    assert_int_equal(parked(s), 1);
    assert_int_equal(late->state.status, BLAST_NONE);
    station_write_chunks(s, late, 100, 0);
    assert_string_equal(station_verdict(s, id), "OK");
    station_until_status(s, late, BLAST_IDLE);
    assert_int_equal(late->kinds[BLAST_EVENT_CREATED], 1);
    is_well(s);
}

static void a_create_whose_recipients_never_come_is_refused(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 30, 10);
    int64_t began_ms = clock_wall_ms();
    struct uuid id;

    blast->last_offset += 100;
    for (int i = 0; i < 2; i++) { /* and so is one that comes later */
        id = station_create(s, blast, NULL, false);
        assert_string_equal(station_verdict(s, id), "INVALID_REQUEST");
        assert_non_null(strstr(station_message_of(s, id), "the recipients did not come: "));
    }
    assert_true(clock_wall_ms() - began_ms < STATION_WAIT_MS);
    assert_int_equal(testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.parked"), 0);
    assert_int_equal(testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.blast"), 0);
    is_well(s);
}

/* Nothing was ever written for it: by nobody, and then by others up to the offset that it names. */
static void a_create_without_any_recipients_is_refused(void **state)
{
    struct station *s = begin(state);
    struct station_blast *bare = station_bare(s, 30);
    struct station_blast *other;
    struct uuid id = station_create(s, bare, NULL, false);

    assert_string_equal(station_verdict(s, id), "INVALID_REQUEST");
    assert_string_equal(station_message_of(s, id),
                        "the recipients did not come: their last chunk was announced at offset 0, "
                        "and the log ends at 0");
    other = station_upload(s, 30, 10);
    bare->last_offset = other->last_offset;
    id = station_create(s, bare, NULL, false);
    assert_string_equal(station_verdict(s, id), "INVALID_REQUEST");
    assert_string_equal(station_message_of(s, id),
                        "0 recipients in 0 chunks came, 30 in 1 were announced");
    assert_string_equal(station_verdict(s, station_create(s, other, NULL, false)), "OK");
    is_well(s);
}

static void recipients_that_are_not_as_announced_are_refused(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 30, 10);

    blast->sha256[0] = blast->sha256[0] == '0' ? '1' : '0';
    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, true)),
                        "INVALID_REQUEST");
    blast->chunks = 4;
    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, true)),
                        "INVALID_REQUEST");
    blast->chunks = 3;
    blast->total = 29;
    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, true)),
                        "INVALID_REQUEST");
    assert_string_equal(station_verdict(s, station_create(s, blast, "{\"contactDelay\":1}", true)),
                        "INVALID_REQUEST");
    assert_int_equal(testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.blast"), 0);
    is_well(s);
}

static bool has_five_chunks(void *ctx)
{
    struct station *s = ctx;

    return testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.recipient_chunk") == 5;
}

static void recipients_that_nobody_names_are_dropped(void **state)
{
    struct station *s = &((struct fixture *)*state)->station;
    struct station_blast *blast;
    struct station_blast *orphan;

    station_set(s, "BLAST_UPLOAD_KEEP_S", "1");
    station_connect(s);
    blast = station_upload(s, 50, 10);
    orphan = station_upload(s, 50, 10);
    station_start(s);
    s->way = STATION_HOLD;
    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, true)), "OK");
    station_until(s, has_five_chunks, s, "the sweep of recipients that nobody names");
    assert_string_equal(station_verdict(s, station_create(s, orphan, NULL, false)),
                        "INVALID_REQUEST");
    is_well(s);
}

static void recipients_that_cannot_be_reached_are_left_out(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = running(s, 501, NULL);

    station_until_status(s, blast, BLAST_COMPLETED);
    assert_int_equal(blast->left_out, 5);
    assert_string_equal(blast->reason, "not a phone number");
    assert_int_equal(blast->state.counts.skipped, 5);
    assert_int_equal(blast->state.counts.sent, 496);
    assert_int_equal(blast->n_handed, 496);
    is_well(s);
}

/* ---- hours ---- */

/* Hours of so many from this one on, or those that end with it. */
static const char *hours(bool open)
{
    static char config[160];
    int hour = (int)(clock_wall_ms() / 3600000 % 24);
    int from = open ? hour : (hour + 2) % 24;
    int to = open ? (hour + 2) % 24 : (hour + 4) % 24;

    (void)snprintf(config, sizeof(config),
                   "{\"businessHours\":{\"enabled\":true,\"startHour\":%d,\"endHour\":%d}}", from,
                   to == 0 ? 24 : to);
    return config;
}

static void nothing_is_sent_outside_of_business_hours(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = running(s, 30, hours(false));

    station_fence(s);
    assert_int_equal(station_handed(s), 0);
    assert_int_equal(blast->state.status, BLAST_RUNNING);
    is_well(s);
}

static bool all_again(void *ctx)
{
    const struct station_blast *blast = ctx;

    for (int32_t i = 0; i < 10; i++) {
        if (blast->times[i] < 2) {
            return false;
        }
    }
    return true;
}

static void what_was_not_sent_in_time_is_handed_over_again(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast;

    s->way = STATION_HOLD;
    blast = running(s, 100, hours(true));
    station_until_handed(s, blast, WINDOW);
    assert_true(s->not_after > clock_wall_ms() && s->not_after < clock_wall_ms() + 7200000);
    for (int32_t i = 0; i < 10; i++) {
        station_message(s, blast, i, MESSAGE_EVENT_EXPIRED);
    }
    station_until(s, all_again, blast, "a second try");
    s->way = STATION_SEND;
    settle(s, blast, MESSAGE_EVENT_SENT);
    station_until_status(s, blast, BLAST_COMPLETED);
    assert_int_equal(blast->state.counts.sent, 100);
    assert_true(blast->most_unsettled <= WINDOW);
    is_well(s);
}

static bool has_cancelled(void *ctx)
{
    const struct station_blast *blast = ctx;

    return blast->n_cancelled == blast->total - 4;
}

static void what_comes_back_to_a_stopped_blast_is_cancelled(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast;

    s->way = STATION_HOLD;
    blast = running(s, 100, NULL);
    station_until_handed(s, blast, WINDOW);
    check(s, blast, BLAST_COMMAND_PAUSE, "OK");
    for (int32_t i = 0; i < 30; i++) {
        station_message(s, blast, i, MESSAGE_EVENT_EXPIRED);
    }
    check(s, blast, BLAST_COMMAND_STOP, "OK");
    for (int32_t i = 30; i < 60; i++) {
        station_message(s, blast, i, MESSAGE_EVENT_EXPIRED);
    }
    settle(s, blast, MESSAGE_EVENT_SENT);
    station_until(s, has_cancelled, blast, "cancelled recipients");
    until_counts(s, blast, 4, 0, 0);
    assert_int_equal(testkit_pg_int(&s->db, "SELECT count(*) FROM scheduler.in_flight"), 0);
    is_well(s);
}

/* ---- the account ---- */

static void a_blast_waits_while_its_account_is_away(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast;

    s->way = STATION_HOLD;
    blast = running(s, 200, NULL);
    station_until_handed(s, blast, WINDOW);
    station_session(s, SESSION_EVENT_CONNECTION_LOST);
    station_until_session(s);
    settle(s, blast, MESSAGE_EVENT_SENT);
    until_counts(s, blast, WINDOW, 0, 0);
    station_fence(s);
    assert_int_equal(station_handed(s), WINDOW);
    assert_int_equal(blast->state.status, BLAST_RUNNING);
    s->way = STATION_SEND;
    station_session(s, SESSION_EVENT_LOGGED_IN);
    station_until_status(s, blast, BLAST_COMPLETED);
    is_well(s);
}

static void an_account_that_goes_offline_pauses_its_blasts(void **state)
{
    struct station *s = begin(state);
    struct station_blast *one;
    struct station_blast *other;

    s->way = STATION_HOLD;
    one = running(s, 200, NULL);
    other = running(s, 200, NULL);
    station_session(s, SESSION_EVENT_DISCONNECTED);
    station_until_status(s, one, BLAST_PAUSED);
    station_until_status(s, other, BLAST_PAUSED);
    assert_true(one->state.paused_by_account);
    check(s, one, BLAST_COMMAND_RESUME, "WHATSAPP_SESSION_NOT_CONNECTED");
    station_session(s, SESSION_EVENT_CONNECT_REQUESTED);
    station_session(s, SESSION_EVENT_LOGGED_IN);
    station_until_session(s);
    station_fence(s);
    assert_int_equal(station_handed(s), WINDOW);
    assert_int_equal(one->state.status, BLAST_PAUSED); /* until somebody resumes it */
    s->way = STATION_SEND;
    settle(s, one, MESSAGE_EVENT_SENT);
    settle(s, other, MESSAGE_EVENT_SENT);
    check(s, one, BLAST_COMMAND_RESUME, "OK");
    station_until_status(s, one, BLAST_COMPLETED);
    check(s, other, BLAST_COMMAND_RESUME, "OK");
    station_until_status(s, other, BLAST_COMPLETED);
    is_well(s);
}

static bool has_all_failed(void *ctx)
{
    return ((const struct station_blast *)ctx)->state.counts.failed == WINDOW;
}

static void a_deleted_account_fails_its_blasts(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast;

    s->way = STATION_HOLD;
    blast = running(s, 200, NULL);
    station_until_handed(s, blast, WINDOW);
    station_session(s, SESSION_EVENT_DELETED);
    settle(s, blast, MESSAGE_EVENT_FAILED);
    station_until_status(s, blast, BLAST_FAILED);
    station_until(s, has_all_failed, blast,
                  "what was handed over to be counted, perhaps after the end");
    until_counts(s, blast, 0, 0, 0);
    station_until(s, has_no_chunks, s, "the sweep of its recipients");
    assert_int_equal(blast->n_cancelled, 200 - WINDOW);
    check(s, blast, BLAST_COMMAND_RESUME, "INVALID_STATE");
    is_well(s);
}

/* ---- counters, pacing ---- */

static void receipts_count_after_the_end(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = running(s, 40, NULL);

    station_until_status(s, blast, BLAST_COMPLETED);
    for (int32_t i = 0; i < 40; i++) {
        station_message(s, blast, i, MESSAGE_EVENT_DELIVERED);
    }
    until_counts(s, blast, 40, 40, 0);
    for (int32_t i = 0; i < 15; i++) {
        station_message(s, blast, i, MESSAGE_EVENT_READ);
    }
    until_counts(s, blast, 40, 40, 15);
    assert_int_equal(blast->state.status, BLAST_COMPLETED);
    is_well(s);
}

static void two_blasts_share_the_window_of_their_account(void **state)
{
    struct station *s = begin(state);
    struct station_blast *one;
    struct station_blast *other;

    s->way = STATION_HOLD;
    one = running(s, 300, NULL);
    station_until_handed(s, one, WINDOW);
    other = running(s, 300, NULL);
    station_fence(s);
    assert_int_equal(station_handed(s), WINDOW);
    s->way = STATION_SEND;
    settle(s, one, MESSAGE_EVENT_SENT);
    station_until_handed(s, other, 100); /* and take turns */
    assert_true(one->n_handed < 300);
    station_until_status(s, one, BLAST_COMPLETED);
    station_until_status(s, other, BLAST_COMPLETED);
    is_well(s);
}

static void delays_and_rate_hold_messages_back(void **state)
{
    struct station *s = &((struct fixture *)*state)->station;
    struct station_blast *slow;
    struct station_blast *limited;

    station_set(s, "ACCOUNT_RATE_PER_MIN", "600");
    station_set(s, "ACCOUNT_RATE_BURST", "3");
    station_connect(s);
    station_start(s);
    slow = running(s, 6,
                   "{\"messageDelay\":{\"min\":100,\"max\":100},"
                   "\"contactDelay\":{\"min\":200,\"max\":200}}");
    station_until_status(s, slow, BLAST_COMPLETED);
    assert_in_range(slow->last_ms - slow->first_ms, 1300, 2500); /* 5 times 300 */
    limited = running(s, 24, NULL);
    station_until_status(s, limited, BLAST_COMPLETED);
    assert_in_range(limited->last_ms - limited->first_ms, 1800, 3500); /* 3, then 10 a second */
    is_well(s);
}

#define SERVER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    int status = 0;
    const struct CMUnitTest tests[] = {
        SERVER_TEST(a_blast_goes_from_create_to_completed),
        SERVER_TEST(pause_is_at_once_and_resume_goes_on),
        SERVER_TEST(stop_cancels_the_rest_as_one_range),
        SERVER_TEST(a_deleted_blast_leaves_its_id_taken),
        SERVER_TEST(a_command_sent_again_gets_its_first_answer),
        SERVER_TEST(a_command_past_its_deadline_is_not_decided),
        SERVER_TEST(start_waits_for_the_events_that_ingress_saw),
        SERVER_TEST(start_without_a_connected_session_is_refused),
        SERVER_TEST(more_recipients_than_the_scheduler_takes_are_refused),
        SERVER_TEST(too_many_commands_that_wait_are_refused_for_the_moment),
        SERVER_TEST(one_command_id_for_two_blasts_has_one_answer),
        SERVER_TEST(an_id_that_another_partition_takes_meanwhile_is_taken),
        SERVER_TEST(a_create_waits_for_recipients_that_come_late),
        SERVER_TEST(a_create_whose_recipients_never_come_is_refused),
        SERVER_TEST(a_create_without_any_recipients_is_refused),
        SERVER_TEST(recipients_that_are_not_as_announced_are_refused),
        SERVER_TEST(recipients_that_nobody_names_are_dropped),
        SERVER_TEST(recipients_that_cannot_be_reached_are_left_out),
        SERVER_TEST(nothing_is_sent_outside_of_business_hours),
        SERVER_TEST(what_was_not_sent_in_time_is_handed_over_again),
        SERVER_TEST(what_comes_back_to_a_stopped_blast_is_cancelled),
        SERVER_TEST(a_blast_waits_while_its_account_is_away),
        SERVER_TEST(an_account_that_goes_offline_pauses_its_blasts),
        SERVER_TEST(a_deleted_account_fails_its_blasts),
        SERVER_TEST(receipts_count_after_the_end),
        SERVER_TEST(two_blasts_share_the_window_of_their_account),
        SERVER_TEST(delays_and_rate_hold_messages_back),
    };

    if (station_is_service(argc, argv, &status)) {
        return status;
    }
    if (argc == 2) { /* by hand: a pattern of names */
        cmocka_set_test_filter(argv[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
