#include "bus/bus_lag.h"

#include "base/err.h"
#include "bus/bus_key.h"
#include "bus/bus_rdkafka.h"
#include "record/topic.h"

static rd_kafka_topic_partition_list_t *all_partitions(void)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(TOPIC_COUNT);

    for (int topic = 0; topic < TOPIC_COUNT; topic++) {
        rd_kafka_topic_partition_list_add_range(list, bus_topic_name((enum topic)topic), 0,
                                                topics[topic].partitions - 1);
    }
    return list;
}

static int refused(struct err *err, const char *what, rd_kafka_resp_err_t code)
{
    return err_set(err, ERR_TIMEOUT, "%s: %s", what, rd_kafka_err2str(code));
}

/* Add what lies behind @at to @lag; all that is there when nothing was committed. */
static int add(rd_kafka_t *client, const rd_kafka_topic_partition_t *at, int timeout_ms,
               int64_t *lag, struct err *err)
{
    int64_t low = 0;
    int64_t high = 0;
    rd_kafka_resp_err_t code;

    code =
        rd_kafka_query_watermark_offsets(client, at->topic, at->partition, &low, &high, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return refused(err, at->topic, code);
    }
    *lag += high - (at->offset > low ? at->offset : low);
    return 0;
}

static int sum(rd_kafka_t *client, const char *group, int timeout_ms, int64_t lag[TOPIC_COUNT],
               struct err *err)
{
    rd_kafka_topic_partition_list_t *list = all_partitions();
    rd_kafka_resp_err_t code = rd_kafka_committed(client, list, timeout_ms);
    int rc = code == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : refused(err, group, code);
    int at = 0;

    for (int topic = 0; topic < TOPIC_COUNT; topic++) { /* in the order of all_partitions */
        bool is_read = topic_is_read_by((enum topic)topic, group);

        lag[topic] = is_read ? 0 : -1;
        for (int p = 0; rc == 0 && p < topics[topic].partitions; p++, at++) {
            rc = is_read ? add(client, &list->elems[at], timeout_ms, &lag[topic], err) : 0;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

int bus_lag(const char *brokers, const char *group, int timeout_ms, int64_t lag[TOPIC_COUNT],
            struct err *err)
{
    const struct bus_setting settings[] = {{"group.id", group}, {NULL, NULL}};
    rd_kafka_conf_t *conf;
    rd_kafka_t *client;
    int rc = bus_conf_new(brokers, "kentongan-topics", settings, &conf, err);

    if (rc == 0) {
        rc = bus_client_new(RD_KAFKA_CONSUMER, conf, &client, err);
    }
    if (rc == 0) {
        rc = sum(client, group, timeout_ms, lag, err);
        rd_kafka_destroy(client);
    }
    return rc;
}
