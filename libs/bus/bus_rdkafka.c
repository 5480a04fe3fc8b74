#include "bus/bus_rdkafka.h"

#include "base/err.h"
#include "base/log.h"

/* Called by librdkafka's threads. */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)level;
    log_debug("kafka client", LOG_STR("client", client == NULL ? NULL : rd_kafka_name(client)),
              LOG_STR("facility", facility), LOG_STR("text", text));
}

static int set_all(rd_kafka_conf_t *conf, const struct bus_setting *settings, struct err *err)
{
    char why[160];

    for (; settings->name != NULL; settings++) {
        if (settings->value == NULL) {
            continue;
        }
        if (rd_kafka_conf_set(conf, settings->name, settings->value, why, sizeof(why)) !=
            RD_KAFKA_CONF_OK) {
            return err_set(err, ERR_INVALID, "kafka: %s: %s", settings->name, why);
        }
    }
    return 0;
}

int bus_conf_new(const char *brokers, const char *client_id, const struct bus_setting *settings,
                 rd_kafka_conf_t **out, struct err *err)
{
    const struct bus_setting common[] = {
        {"bootstrap.servers", brokers},        {"client.id", client_id},
        {"allow.auto.create.topics", "false"}, {"socket.nagle.disable", "true"},
        {"log.connection.close", "false"},     {"reconnect.backoff.ms", "50"},
        {"reconnect.backoff.max.ms", "2000"},  {NULL, NULL},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int rc;

    rd_kafka_conf_set_log_cb(conf, on_log);
    rc = brokers == NULL || brokers[0] == '\0' ? err_set(err, ERR_INVALID, "kafka: no brokers")
                                               : set_all(conf, common, err);
    if (rc == 0) {
        rc = set_all(conf, settings, err);
    }
    if (rc < 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    *out = conf;
    return 0;
}

int bus_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **out, struct err *err)
{
    char why[160];
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof(why));

    if (client == NULL) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_INVALID, "kafka: %s", why);
    }
    *out = client;
    return 0;
}

bool bus_error_is_fatal(rd_kafka_t *client, int code, const char *reason, struct err *err)
{
    char why[200];
    rd_kafka_resp_err_t fatal;

    if (code != RD_KAFKA_RESP_ERR__FATAL) {
        (void)err_set(err, ERR_EXTERNAL, "kafka: %s: %s",
                      rd_kafka_err2name((rd_kafka_resp_err_t)code), reason);
        return false;
    }
    fatal = rd_kafka_fatal_error(client, why, sizeof(why));
    (void)err_set(err, fatal == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID ? ERR_FENCED : ERR_EXTERNAL,
                  "kafka: %s: %s", rd_kafka_err2name(fatal), why);
    return true;
}
