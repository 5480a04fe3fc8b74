#include "bus/bus_admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "bus/bus_key.h"
#include "bus/bus_rdkafka.h"

enum { REQUEST_MS = 10000, TRY_MS = 1000, AGAIN_MS = 50, WHY_MAX = 160 };

struct bus_admin {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    char last_error[WHY_MAX]; /* what the client said last: why no broker answers */
};

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct bus_admin *admin = opaque;

    (void)client;
    (void)code;
    (void)snprintf(admin->last_error, sizeof(admin->last_error), "%s", reason);
}

int bus_admin_new(const char *brokers, struct bus_admin **out, struct err *err)
{
    static const struct bus_setting none[] = {{NULL, NULL}};
    struct bus_admin *admin = mem_new0(sizeof(*admin));
    rd_kafka_conf_t *conf;
    int rc = bus_conf_new(brokers, "kentongan-topics", none, &conf, err);

    if (rc == 0) {
        rd_kafka_conf_set_opaque(conf, admin);
        rd_kafka_conf_set_error_cb(conf, on_error);
        rc = bus_client_new(RD_KAFKA_PRODUCER, conf, &admin->client, err);
    }
    if (rc < 0) {
        free(admin);
        return rc;
    }
    admin->queue = rd_kafka_queue_new(admin->client);
    *out = admin;
    return 0;
}

void bus_admin_free(struct bus_admin **admin)
{
    if (*admin != NULL) {
        rd_kafka_queue_destroy((*admin)->queue);
        rd_kafka_destroy((*admin)->client);
        free(*admin);
        *admin = NULL;
    }
}

static int ask_metadata(struct bus_admin *admin, int timeout_ms,
                        const struct rd_kafka_metadata **out, struct err *err)
{
    rd_kafka_resp_err_t code = rd_kafka_metadata(admin->client, 1, NULL, out, timeout_ms);

    (void)rd_kafka_poll(admin->client, 0); /* on_error */
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return err_set(err, ERR_TIMEOUT, "no broker answers: %s",
                       admin->last_error[0] != '\0' ? admin->last_error : rd_kafka_err2str(code));
    }
    return 0;
}

int bus_admin_wait(struct bus_admin *admin, int64_t timeout_ms, struct err *err)
{
    int64_t until = clock_mono_ms() + timeout_ms;

    for (;;) {
        const struct rd_kafka_metadata *metadata;
        int64_t left = until - clock_mono_ms();
        int rc =
            ask_metadata(admin, left > 1 && left < TRY_MS ? (int)left : TRY_MS, &metadata, err);

        if (rc == 0) {
            rd_kafka_metadata_destroy(metadata);
            return 0;
        }
        if (clock_mono_ms() >= until) {
            return rc;
        }
        /* while it cannot connect, metadata fails at once: the client's own pace is the wait */
        (void)rd_kafka_poll(admin->client, 100);
    }
}

/* ---- making ---- */

static const struct rd_kafka_metadata_topic *find_topic(const struct rd_kafka_metadata *metadata,
                                                        const char *name)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        if (strcmp(metadata->topics[i].topic, name) == 0 &&
            metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            return &metadata->topics[i];
        }
    }
    return NULL;
}

static rd_kafka_NewTopic_t *describe_new(enum topic topic, int replicas)
{
    char why[WHY_MAX];
    char retention[24];
    rd_kafka_NewTopic_t *made = rd_kafka_NewTopic_new(
        bus_topic_name(topic), topics[topic].partitions, replicas, why, sizeof(why));

    if (made != NULL) {
        (void)snprintf(retention, sizeof(retention), "%" PRId64, topics[topic].retention_ms);
        (void)rd_kafka_NewTopic_set_config(made, "cleanup.policy", "delete");
        (void)rd_kafka_NewTopic_set_config(made, "retention.ms", retention);
    }
    return made;
}

static int report_made(const rd_kafka_CreateTopics_result_t *result, struct buf *report,
                       struct err *err)
{
    size_t n;
    const rd_kafka_topic_result_t **all = rd_kafka_CreateTopics_result_topics(result, &n);

    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(all[i]);
        const char *why = rd_kafka_topic_result_error_string(all[i]);

        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            buf_addf(report, "%s: made\n", rd_kafka_topic_result_name(all[i]));
        } else if (code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            return err_set(err, ERR_REFUSED, "%s: the broker refuses to make it: %s",
                           rd_kafka_topic_result_name(all[i]),
                           why != NULL ? why : rd_kafka_err2str(code));
        }
    }
    return 0;
}

static bool are_all_there(const struct rd_kafka_metadata *metadata)
{
    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (find_topic(metadata, bus_topic_name((enum topic)i)) == NULL) {
            return false;
        }
    }
    return true;
}

/* A broker hears of a new topic a little after its maker. */
static int wait_for_all(struct bus_admin *admin, struct err *err)
{
    int64_t until = clock_mono_ms() + REQUEST_MS;
    bool are_there = false;

    while (!are_there && clock_mono_ms() < until) {
        const struct rd_kafka_metadata *metadata;
        int rc = ask_metadata(admin, REQUEST_MS, &metadata, err);

        if (rc < 0) {
            return rc;
        }
        are_there = are_all_there(metadata);
        rd_kafka_metadata_destroy(metadata);
        if (!are_there) {
            (void)rd_kafka_poll(admin->client, AGAIN_MS);
        }
    }
    return 0; /* what is still missing, the check tells */
}

int bus_admin_create(struct bus_admin *admin, int replicas, struct buf *report, struct err *err)
{
    rd_kafka_NewTopic_t *wanted[TOPIC_COUNT];
    rd_kafka_event_t *event = NULL;
    size_t n = 0;
    int rc;

    for (; n < TOPIC_COUNT; n++) {
        wanted[n] = describe_new((enum topic)n, replicas);
        if (wanted[n] == NULL) {
            rc = err_set(err, ERR_INVALID, "%s: cannot be described with %d replicas",
                         bus_topic_name((enum topic)n), replicas);
            goto out;
        }
    }
    rd_kafka_CreateTopics(admin->client, wanted, n, NULL, admin->queue);
    event = rd_kafka_queue_poll(admin->queue, REQUEST_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = err_set(err, ERR_EXTERNAL, "making topics: %s",
                     event == NULL ? "no answer" : rd_kafka_event_error_string(event));
        goto out;
    }
    rc = report_made(rd_kafka_event_CreateTopics_result(event), report, err);
    if (rc == 0) {
        rc = wait_for_all(admin, err);
    }
out:
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_NewTopic_destroy_array(wanted, n);
    return rc;
}

/* ---- deleting ---- */

static int check_deleted(const rd_kafka_DeleteTopics_result_t *result, struct err *err)
{
    size_t n;
    const rd_kafka_topic_result_t **all = rd_kafka_DeleteTopics_result_topics(result, &n);

    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(all[i]);

        if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
            return err_set(err, ERR_EXTERNAL, "%s: cannot be deleted: %s",
                           rd_kafka_topic_result_name(all[i]), rd_kafka_err2str(code));
        }
    }
    return 0;
}

int bus_admin_delete(struct bus_admin *admin, struct err *err)
{
    rd_kafka_DeleteTopic_t *unwanted[TOPIC_COUNT];
    rd_kafka_event_t *event;
    int rc;

    if (bus_topic_prefix()[0] == '\0') {
        return err_set(err, ERR_REFUSED, "only topics with a prefix are deleted");
    }
    for (size_t i = 0; i < TOPIC_COUNT; i++) {
        unwanted[i] = rd_kafka_DeleteTopic_new(bus_topic_name((enum topic)i));
    }
    rd_kafka_DeleteTopics(admin->client, unwanted, TOPIC_COUNT, NULL, admin->queue);
    rd_kafka_DeleteTopic_destroy_array(unwanted, TOPIC_COUNT);
    event = rd_kafka_queue_poll(admin->queue, REQUEST_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = err_set(err, ERR_EXTERNAL, "deleting topics: %s",
                     event == NULL ? "no answer" : rd_kafka_event_error_string(event));
    } else {
        rc = check_deleted(rd_kafka_event_DeleteTopics_result(event), err);
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    return rc;
}

/* ---- checking ---- */

static int check_partitions(struct bus_admin *admin, bool present[TOPIC_COUNT], struct buf *report,
                            struct err *err)
{
    const struct rd_kafka_metadata *metadata;
    int rc = ask_metadata(admin, REQUEST_MS, &metadata, err);

    if (rc < 0) {
        return rc;
    }
    for (int i = 0; i < TOPIC_COUNT; i++) {
        const struct rd_kafka_metadata_topic *found =
            find_topic(metadata, bus_topic_name((enum topic)i));

        present[i] = found != NULL;
        if (found == NULL) {
            buf_addf(report, "%s: is missing\n", bus_topic_name((enum topic)i));
        } else if (found->partition_cnt != topics[i].partitions) {
            buf_addf(report,
                     "%s: has %d partitions instead of %d; their number can never change, because "
                     "records are found by it\n",
                     bus_topic_name((enum topic)i), found->partition_cnt, topics[i].partitions);
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return 0;
}

static void check_config(const rd_kafka_ConfigResource_t *resource, struct buf *report)
{
    const char *name = rd_kafka_ConfigResource_name(resource);
    char want[24] = "";
    enum topic topic;
    size_t n;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &n);

    if (!bus_topic_find(name, &topic)) {
        return;
    }
    (void)snprintf(want, sizeof(want), "%" PRId64, topics[topic].retention_ms);
    for (size_t i = 0; i < n; i++) {
        const char *key = rd_kafka_ConfigEntry_name(entries[i]);
        const char *value = rd_kafka_ConfigEntry_value(entries[i]);

        if (strcmp(key, "retention.ms") == 0 && (value == NULL || strcmp(value, want) != 0)) {
            buf_addf(report, "%s: retention.ms is %s instead of %s\n", name,
                     value == NULL ? "unset" : value, want);
        }
        if (strcmp(key, "cleanup.policy") == 0 && (value == NULL || strcmp(value, "delete") != 0)) {
            buf_addf(report, "%s: cleanup.policy is %s instead of delete\n", name,
                     value == NULL ? "unset" : value);
        }
    }
}

static int check_configs(struct bus_admin *admin, const bool present[TOPIC_COUNT],
                         struct buf *report, struct err *err)
{
    rd_kafka_ConfigResource_t *asked[TOPIC_COUNT];
    const rd_kafka_ConfigResource_t **answered;
    rd_kafka_event_t *event;
    size_t n = 0;
    int rc = 0;

    for (int i = 0; i < TOPIC_COUNT; i++) {
        if (present[i]) {
            asked[n++] =
                rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, bus_topic_name((enum topic)i));
        }
    }
    if (n == 0) {
        return 0;
    }
    rd_kafka_DescribeConfigs(admin->client, asked, n, NULL, admin->queue);
    rd_kafka_ConfigResource_destroy_array(asked, n);
    event = rd_kafka_queue_poll(admin->queue, REQUEST_MS);
    if (event == NULL || rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        rc = err_set(err, ERR_EXTERNAL, "reading the topics' settings: %s",
                     event == NULL ? "no answer" : rd_kafka_event_error_string(event));
    } else {
        answered = rd_kafka_DescribeConfigs_result_resources(
            rd_kafka_event_DescribeConfigs_result(event), &n);
        for (size_t i = 0; i < n; i++) {
            check_config(answered[i], report);
        }
    }
    if (event != NULL) {
        rd_kafka_event_destroy(event);
    }
    return rc;
}

int bus_admin_check(struct bus_admin *admin, struct buf *report, struct err *err)
{
    bool present[TOPIC_COUNT];
    size_t before = report->n;
    int rc = check_partitions(admin, present, report, err);

    if (rc == 0) {
        rc = check_configs(admin, present, report, err);
    }
    if (rc == 0 && report->n > before) {
        rc = err_set(err, ERR_CONFLICT, "the topics are not as they should be");
    }
    return rc;
}
