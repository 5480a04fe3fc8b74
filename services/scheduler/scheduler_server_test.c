/* The scheduler as a process, between a log and a database: what a blast goes through. */
#include <stdio.h>
#include <string.h>

#include "loop/loop.h"
#include "scheduler/scheduler_tester.h"
#include "testkit/testkit.h"

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

static void is_well(const struct station *station)
{
    if (station->broken[0] != '\0') {
        fail_msg("%s", station->broken);
    }
}

static struct station_blast *running(struct station *s, int32_t total)
{
    struct station_blast *blast = station_upload(s, total, 100);

    assert_string_equal(station_verdict(s, station_create(s, blast, NULL, true)), "OK");
    station_until_status(s, blast, BLAST_RUNNING);
    return blast;
}

static void a_blast_goes_from_create_to_completed(void **state)
{
    struct station *s = begin(state);
    struct station_blast *blast = station_upload(s, 250, 100);
    struct uuid create = station_create(s, blast, NULL, false);

    assert_string_equal(station_verdict(s, create), "OK");
    station_until_status(s, blast, BLAST_IDLE);
    assert_int_equal(blast->n_handed, 0);
    assert_string_equal(station_verdict(s, station_command(s, blast, BLAST_COMMAND_START)), "OK");
    station_until_status(s, blast, BLAST_COMPLETED);
    assert_int_equal(blast->n_handed, 250);
    assert_int_equal(blast->state.counts.sent, 250);
    assert_string_equal(s->text, "Hi Person 249, 249!");
    assert_string_equal(s->recipient, "62810000249");
    assert_int_equal(s->not_after, 0);
    assert_true(blast->most_unsettled <= 64);
    assert_int_equal(station_stop(s), 0);
    is_well(s);
}

int main(int argc, char **argv)
{
    int status = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_blast_goes_from_create_to_completed, set_up, tear_down),
    };

    if (station_is_service(argc, argv, &status)) {
        return status;
    }
    (void)running;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
