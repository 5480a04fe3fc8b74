#include "testkit/testkit.h"

#include <string.h>

#include "base/buf.h"
#include "base/metric.h"

static void families_are_printed_together(void **state)
{
    struct metric *a = metric_counter_for("t_sent_total", "Sent", "account=\"%s\"", "a");
    struct metric *lag = metric_gauge("t_lag", "Behind");
    struct metric *b = metric_counter_for("t_sent_total", "Sent", "account=\"%s\"", "b");
    struct buf out = {0};

    (void)state;
    assert_ptr_equal(a, metric_counter_for("t_sent_total", "Sent", "account=\"a\""));
    metric_add(a, 2);
    metric_add(b, 5);
    metric_set(lag, -3);
    metric_print(&out);
    assert_string_equal(buf_text(&out), "# HELP t_sent_total Sent\n"
                                        "# TYPE t_sent_total counter\n"
                                        "t_sent_total{account=\"a\"} 2\n"
                                        "t_sent_total{account=\"b\"} 5\n"
                                        "# HELP t_lag Behind\n"
                                        "# TYPE t_lag gauge\n"
                                        "t_lag -3\n");
    metric_hide(lag);
    buf_clear(&out);
    metric_print(&out);
    assert_null(strstr(buf_text(&out), "t_lag -3"));
    buf_done(&out);
}

static void histogram_buckets_add_up(void **state)
{
    struct metric *h = metric_histogram_for("t_turn_seconds", "Turns", "kind=\"x\"");
    struct buf out = {0};

    (void)state;
    metric_observe_us(h, 1000);
    metric_observe_us(h, 1001);
    metric_observe_us(h, 90000000);
    assert_int_equal(metric_value(h), 3);
    metric_print(&out);
    assert_non_null(strstr(buf_text(&out), "t_turn_seconds_bucket{kind=\"x\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr(buf_text(&out), "t_turn_seconds_bucket{kind=\"x\",le=\"0.0025\"} 2\n"));
    assert_non_null(strstr(buf_text(&out), "t_turn_seconds_bucket{kind=\"x\",le=\"60\"} 2\n"));
    assert_non_null(strstr(buf_text(&out), "t_turn_seconds_bucket{kind=\"x\",le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(buf_text(&out), "t_turn_seconds_sum{kind=\"x\"} 90.002001\n"));
    assert_non_null(strstr(buf_text(&out), "t_turn_seconds_count{kind=\"x\"} 3\n"));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_are_printed_together),
        cmocka_unit_test(histogram_buckets_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
