/* The environment of a service: one variable a line. What loads is within its bounds and prints
 * without secrets; an error shows none either. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "svc/svc_config.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES_MAX = 40 };

/* Stands in secrets, and nowhere else. */
#define MARK "hidden"

struct config {
    struct svc_common common;
    const char *secret;
    const char *url;
    struct svc_key key;
    struct svc_range range;
    int64_t number;
    bool flag;
};

static const struct svc_config_entry entries[] = {
    SVC_COMMON(struct config, common, NULL),
    SVC_TEXT(struct config, secret, "SECRET", "", "a secret", .max = 100, SVC_SECRET),
    SVC_TEXT(struct config, url, "URL", "", "with a login", .mask = SVC_MASK_USERINFO),
    SVC_KEY(struct config, key, "KEY", "", "a key"),
    SVC_RANGE(struct config, range, "RANGE", "5-7", -10, 1000, "a range"),
    SVC_INT(struct config, number, "NUMBER", "0", INT64_MIN, INT64_MAX, "a number"),
    SVC_FLAG(struct config, flag, "--flag", "a flag"),
};

static const struct svc_config_table table = SVC_CONFIG_TABLE("fuzz", "is fuzzed", entries, NULL);

static bool is_of(const char *line, const char *name)
{
    return strncmp(line, name, strlen(name)) == 0;
}

/* A login is what stands between the scheme, or the beginning, and the last "@". */
static bool is_in_login(const char *line, const char *mark)
{
    const char *at = strrchr(line, '@');

    return is_of(line, "URL=") && at != NULL && mark < at &&
           memchr(line, ':', (size_t)(mark - line));
}

/* May a line hold the mark? No file is read: its name could be anything. */
static bool is_fit(const char *line)
{
    const char *mark = strstr(line, MARK);

    if (strstr(line, "_FILE=") != NULL) {
        return false;
    }
    while (mark != NULL && is_in_login(line, mark)) {
        mark = strstr(mark + 1, MARK);
    }
    return mark == NULL || is_of(line, "SECRET=") || is_of(line, "KEY=") || is_of(line, "DB_PASS=");
}

static void check(const struct config *config)
{
    struct buf shown = {0};

    must(config->common.db_port >= 1 && config->common.db_port <= 65535);
    must(strlen(config->secret) <= 100 && config->common.instance_id[0] != '\0');
    must(config->range.min >= -10 && config->range.min <= config->range.max);
    must(config->range.max <= 1000);
    svc_config_print(&table, config, &shown);
    must(strstr(buf_text(&shown), MARK) == NULL);
    buf_done(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    char *env[LINES_MAX + 1] = {NULL};
    char program[] = "fuzz";
    char *argv[] = {program, NULL};
    const struct svc_config_source source = {1, argv, env, NULL};
    struct config config = {0};
    struct err err = {0};
    size_t n = 0;

    for (char *rest = text, *line; n < LINES_MAX && (line = strsep(&rest, "\n")) != NULL;) {
        if (is_fit(line)) {
            env[n++] = line;
        }
    }
    if (svc_config_load_from(&table, &source, &config, &err) == 0) {
        check(&config);
        svc_config_done(&table, &config);
    } else {
        must(strstr(err.text, MARK) == NULL);
    }
    free(text);
    return 0;
}
