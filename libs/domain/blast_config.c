#include "domain/blast_config.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "domain/json_read.h"

struct blast_config blast_config_default(void)
{
    return (struct blast_config){.message_delay = {1000, 3000}, .contact_delay = {2000, 5000}};
}

static int read_delay(const json_t *config, const char *name, struct blast_delay *out,
                      struct err *err)
{
    const json_t *delay = json_object_get(config, name);
    int64_t min = 0;
    int64_t max = 0;

    if (delay == NULL) {
        return 0;
    }
    if (!json_is_object(delay)) {
        return err_set(err, ERR_INVALID, "%s is not an object", name);
    }
    int rc = json_read_int(delay, "min", 0, BLAST_DELAY_MAX_MS, &min, err);

    if (rc == 0) {
        rc = json_read_int(delay, "max", 0, BLAST_DELAY_MAX_MS, &max, err);
    }
    if (rc == 0 && min > max) {
        rc = err_set(err, ERR_INVALID, "min is over max");
    }
    if (rc < 0) {
        return err_wrap(err, rc, "%s", name);
    }
    *out = (struct blast_delay){.min_ms = (int32_t)min, .max_ms = (int32_t)max};
    return 0;
}

static int read_hours(const json_t *config, struct hours *out, struct err *err)
{
    const json_t *hours = json_object_get(config, "businessHours");
    struct hours made = {0};
    int64_t start = 0;
    int64_t end = 0;

    if (hours == NULL) {
        return 0;
    }
    if (!json_is_object(hours)) {
        return err_set(err, ERR_INVALID, "businessHours is not an object");
    }
    int rc = json_read_bool(hours, "enabled", &made.enabled, err);

    made.has_hours = json_object_get(hours, "startHour") != NULL ||
                     json_object_get(hours, "endHour") != NULL || made.enabled;
    if (rc == 0 && made.has_hours) {
        rc = json_read_int(hours, "startHour", 0, 23, &start, err);
    }
    if (rc == 0 && made.has_hours) {
        rc = json_read_int(hours, "endHour", 1, 24, &end, err);
    }
    if (rc == 0 && made.has_hours && start == end) {
        rc = err_set(err, ERR_INVALID, "startHour equals endHour");
    }
    if (rc < 0) {
        return err_wrap(err, rc, "businessHours");
    }
    made.start_hour = (int)start;
    made.end_hour = (int)end;
    *out = made;
    return 0;
}

int blast_config_from_json(const char *json, const struct blast_config *defaults,
                           struct blast_config *out, struct err *err)
{
    struct blast_config made = *defaults;
    json_t *config = NULL;
    size_t n = json == NULL ? 0 : strlen(json);

    if (n == 0) {
        *out = made;
        return 0;
    }
    if (n > BLAST_CONFIG_MAX) {
        return err_set(err, ERR_LIMIT, "config of %zu bytes, at most %d", n, BLAST_CONFIG_MAX);
    }
    int rc = json_read_object(json, n, &config, err);

    if (rc == 0) {
        rc = read_delay(config, "messageDelay", &made.message_delay, err);
    }
    if (rc == 0) {
        rc = read_delay(config, "contactDelay", &made.contact_delay, err);
    }
    if (rc == 0) {
        rc = read_hours(config, &made.hours, err);
    }
    json_decref(config);
    if (rc < 0) {
        return err_wrap(err, rc, "config");
    }
    *out = made;
    return 0;
}
