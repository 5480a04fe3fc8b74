#include "svc/svc_config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/crash.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

extern char **environ;

static void *member(const struct svc_config_entry *e, void *config)
{
    return (char *)config + e->offset;
}

static const void *member_of(const struct svc_config_entry *e, const void *config)
{
    return (const char *)config + e->offset;
}

/* ---- values ---- */

static bool is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);

    for (const char *c = choices; *c != 0;) {
        size_t len = strcspn(c, " ");

        if (len == n && memcmp(c, text, n) == 0) {
            return true;
        }
        c += len + (c[len] == ' ' ? 1 : 0);
    }
    return false;
}

static int set_text(const struct svc_config_entry *e, const char *text, void *config,
                    struct err *err)
{
    size_t max = e->max > 0 ? (size_t)e->max : SVC_CONFIG_TEXT_MAX;
    size_t n = strlen(text);
    const char **to = member(e, config);

    if (n < (size_t)e->min || n > max) {
        return err_set(err, ERR_INVALID, "%s has %zu bytes, want %lld to %zu", e->name, n,
                       (long long)e->min, max);
    }
    if (e->choices != NULL && !is_choice(e->choices, text)) {
        return err_set(err, ERR_INVALID, "%s is \"%.40s\", want one of: %s", e->name, text,
                       e->choices);
    }
    if (e->check != NULL && n > 0) {
        int rc = e->check(text, err);

        if (rc < 0) {
            return err_wrap(err, rc, "%s", e->name);
        }
    }
    *to = mem_strdup(text);
    return 0;
}

static int set_int(const struct svc_config_entry *e, const char *text, int64_t *to, struct err *err)
{
    if (!text_to_int(text, e->min, e->max, to)) {
        return err_set(err, ERR_INVALID, "%s is \"%.40s\", want a whole number from %lld to %lld",
                       e->name, text, (long long)e->min, (long long)e->max);
    }
    return 0;
}

static int set_bool(const struct svc_config_entry *e, const char *text, void *config,
                    struct err *err)
{
    bool is_true = is_choice("1 true yes", text);

    if (!is_true && !is_choice("0 false no", text)) {
        return err_set(err, ERR_INVALID, "%s is \"%.40s\", want 1 or 0", e->name, text);
    }
    *(bool *)member(e, config) = is_true;
    return 0;
}

static int set_key(const struct svc_config_entry *e, const char *text, void *config,
                   struct err *err)
{
    struct svc_key *key = member(e, config);
    size_t n = strlen(text);
    struct buf raw = {0};
    int rc;

    if (n == 0) {
        return 0; /* only reached when the entry may be empty */
    }
    if (n == (size_t)2 * SVC_KEY_SIZE) {
        rc = text_unhex(&raw, text, n);
    } else {
        rc = text_unbase64(&raw, text, n, TEXT_BASE64);
    }
    if (rc < 0 || raw.n != SVC_KEY_SIZE) {
        rc = err_set(err, ERR_INVALID, "%s must be 64 hex digits or 32 bytes in base64", e->name);
    } else {
        memcpy(key->bytes, raw.p, SVC_KEY_SIZE);
        key->is_set = true;
        rc = 0;
    }
    buf_wipe(&raw);
    return rc;
}

static int set_range(const struct svc_config_entry *e, const char *text, void *config,
                     struct err *err)
{
    struct svc_range *range = member(e, config);
    const char *dash = strchr(text, '-');
    char low[24];
    size_t n = dash != NULL ? (size_t)(dash - text) : strlen(text);

    if (n >= sizeof(low)) {
        return err_set(err, ERR_INVALID, "%s is \"%.40s\", want MIN-MAX", e->name, text);
    }
    memcpy(low, text, n);
    low[n] = 0;
    if (!text_to_int(low, e->min, e->max, &range->min) ||
        !text_to_int(dash != NULL ? dash + 1 : low, range->min, e->max, &range->max)) {
        return err_set(err, ERR_INVALID,
                       "%s is \"%.40s\", want MIN-MAX within %lld and %lld, MIN not over MAX",
                       e->name, text, (long long)e->min, (long long)e->max);
    }
    return 0;
}

static int set_value(const struct svc_config_entry *e, const char *text, void *config,
                     struct err *err)
{
    switch (e->kind) {
    case SVC_CONFIG_TEXT:
        return set_text(e, text, config, err);
    case SVC_CONFIG_INT:
        return set_int(e, text, member(e, config), err);
    case SVC_CONFIG_BOOL:
        return set_bool(e, text, config, err);
    case SVC_CONFIG_KEY:
        return set_key(e, text, config, err);
    case SVC_CONFIG_RANGE:
        return set_range(e, text, config, err);
    case SVC_CONFIG_FLAG:
        break;
    }
    return 0;
}

/* ---- where values come from ---- */

static const char *find_env(char **env, const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t more = strlen(suffix);

    for (; env != NULL && *env != NULL; env++) {
        if (strncmp(*env, name, n) == 0 && strncmp(*env + n, suffix, more) == 0 &&
            (*env)[n + more] == '=') {
            return *env + n + more + 1;
        }
    }
    return NULL;
}

/* The first line of the file that NAME_FILE names, or NULL when there is no such variable. */
static int read_secret_file(const struct svc_config_entry *e, char **env, char **out,
                            struct err *err)
{
    const char *path = e->mask == SVC_MASK_NONE ? NULL : find_env(env, e->name, "_FILE");
    char line[SVC_CONFIG_TEXT_MAX + 2];
    FILE *file;

    *out = NULL;
    if (path == NULL) {
        return 0;
    }
    file = fopen(path, "re");
    if (file == NULL || fgets(line, sizeof(line), file) == NULL) {
        if (file != NULL) {
            (void)fclose(file);
        }
        return err_set(err, ERR_INVALID, "%s_FILE: cannot read a line from %.120s", e->name, path);
    }
    (void)fclose(file);
    line[strcspn(line, "\r\n")] = 0;
    *out = mem_strdup(line);
    mem_wipe(line, sizeof(line));
    return 0;
}

static int load_entry(const struct svc_config_entry *e, char **env, void *config, struct err *err)
{
    const char *text = find_env(env, e->name, "");
    char *from_file = NULL;
    int rc;

    if (e->kind == SVC_CONFIG_FLAG) {
        return 0;
    }
    if (text == NULL || text[0] == 0) {
        rc = read_secret_file(e, env, &from_file, err);
        if (rc < 0) {
            return rc;
        }
        text = from_file != NULL ? from_file : e->fallback;
    }
    rc = text != NULL ? set_value(e, text, config, err)
                      : err_set(err, ERR_INVALID, "%s is not set: %s", e->name, e->doc);
    if (from_file != NULL) {
        mem_wipe(from_file, strlen(from_file));
        free(from_file);
    }
    return rc;
}

/* ---- arguments ---- */

enum mode { MODE_RUN, MODE_HELP, MODE_CHECK, MODE_PRINT };

static int read_argument(const struct svc_config_table *table, const char *text, void *config,
                         enum mode *mode, struct err *err)
{
    static const struct {
        const char *text;
        enum mode mode;
    } known[] = {
        {"--help", MODE_HELP},
        {"--check-config", MODE_CHECK},
        {"--print-config", MODE_PRINT},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(text, known[i].text) == 0) {
            *mode = known[i].mode;
            return 0;
        }
    }
    for (size_t i = 0; i < table->n; i++) {
        const struct svc_config_entry *e = &table->entries[i];

        if (e->kind == SVC_CONFIG_FLAG && strcmp(text, e->name) == 0) {
            *(bool *)member(e, config) = true;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "unknown argument \"%.60s\" (--help lists them)", text);
}

static void print_help(const struct svc_config_table *table, FILE *out)
{
    (void)fprintf(out,
                  "%s: %s\n\n"
                  "  --help            this text\n"
                  "  --check-config    say whether the configuration is good, and end\n"
                  "  --print-config    print it with secrets masked, and end\n",
                  table->service, table->purpose);
    for (size_t i = 0; i < table->n; i++) {
        if (table->entries[i].kind == SVC_CONFIG_FLAG) {
            (void)fprintf(out, "  %-17s %s\n", table->entries[i].name, table->entries[i].doc);
        }
    }
    (void)fprintf(out, "\nEnvironment:\n");
    for (size_t i = 0; i < table->n; i++) {
        const struct svc_config_entry *e = &table->entries[i];

        if (e->kind == SVC_CONFIG_FLAG) {
            continue;
        }
        (void)fprintf(out, "  %-26s %s", e->name, e->doc);
        if (e->choices != NULL) {
            (void)fprintf(out, " (%s)", e->choices);
        } else if (e->kind == SVC_CONFIG_INT || e->kind == SVC_CONFIG_RANGE) {
            (void)fprintf(out, " (%lld to %lld)", (long long)e->min, (long long)e->max);
        }
        if (e->fallback == NULL) {
            (void)fprintf(out, ", required");
        } else if (e->fallback[0] != 0) {
            (void)fprintf(out, ", default %s", e->fallback);
        }
        (void)fprintf(out, "%s\n", e->mask == SVC_MASK_ALL ? ", secret" : "");
    }
}

/* ---- loading ---- */

/* Members of svc_common whose default depends on the service. */
static void fill_defaults(const struct svc_config_table *table, void *config)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct svc_config_entry *e = &table->entries[i];
        bool is_instance = strcmp(e->name, "INSTANCE_ID") == 0;

        if (is_instance || strcmp(e->name, "DB_USER") == 0) {
            char **to = member(e, config);

            if (*to != NULL && (*to)[0] == 0) {
                struct buf text = {0};

                buf_addf(&text, "%s%s", table->service, is_instance ? "-1" : "");
                free(*to);
                *to = mem_strdup(buf_text(&text));
                buf_done(&text);
            }
        }
    }
}

static int load_all(const struct svc_config_table *table, char **env, void *config, struct err *err)
{
    for (size_t i = 0; i < table->n; i++) {
        int rc = load_entry(&table->entries[i], env, config, err);

        if (rc < 0) {
            return rc;
        }
    }
    fill_defaults(table, config);
    return table->check != NULL ? table->check(config, err) : 0;
}

int svc_config_load_from(const struct svc_config_table *table,
                         const struct svc_config_source *source, void *config, struct err *err)
{
    enum mode mode = MODE_RUN;
    int rc;

    for (int i = 1; i < source->argc; i++) {
        rc = read_argument(table, source->argv[i], config, &mode, err);
        if (rc < 0) {
            return rc;
        }
    }
    if (mode == MODE_HELP) {
        print_help(table, source->out);
        return 1;
    }
    rc = load_all(table, source->env, config, err);
    if (rc == 0 && mode == MODE_PRINT) {
        struct buf text = {0};

        svc_config_print(table, config, &text);
        (void)fwrite(text.p, 1, text.n, source->out);
        buf_done(&text);
    } else if (rc == 0 && mode == MODE_CHECK) {
        (void)fprintf(source->out, "%s: the configuration is good\n", table->service);
    }
    if (rc < 0 || mode != MODE_RUN) {
        svc_config_done(table, config);
    }
    return rc < 0 ? rc : (mode == MODE_RUN ? 0 : 1);
}

int svc_config_load(const struct svc_config_table *table, int argc, char **argv, void *config,
                    struct err *err)
{
    const struct svc_config_source source = {argc, argv, environ, stdout};

    return svc_config_load_from(table, &source, config, err);
}

int svc_check_file(const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        return err_set(err, ERR_INVALID, "%.200s cannot be read", path);
    }
    (void)fclose(file);
    return 0;
}

void svc_config_done(const struct svc_config_table *table, void *config)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct svc_config_entry *e = &table->entries[i];

        if (e->kind == SVC_CONFIG_TEXT) {
            char **text = member(e, config);

            if (*text != NULL) {
                mem_wipe(*text, strlen(*text));
            }
            free(*text);
            *text = NULL;
        } else if (e->kind == SVC_CONFIG_KEY) {
            mem_wipe(member(e, config), sizeof(struct svc_key));
        }
    }
}

/* ---- showing ---- */

/* Bytes of "scheme://" in front of @text; 0: none. */
static size_t scheme_bytes(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return n > 0 && strncmp(text + n, "://", 3) == 0 ? n + 3 : 0;
}

static void print_text(const struct svc_config_entry *e, const char *text, struct buf *out)
{
    const char *at = e->mask == SVC_MASK_USERINFO ? strrchr(text, '@') : NULL;

    if (e->mask == SVC_MASK_ALL) {
        buf_add_str(out, text[0] != 0 ? "***" : "");
    } else if (at != NULL) { /* a login, also where the rest is no URL */
        buf_add(out, text, scheme_bytes(text));
        buf_addf(out, "***%s", at);
    } else {
        buf_add_str(out, text);
    }
}

void svc_config_print(const struct svc_config_table *table, const void *config, struct buf *out)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct svc_config_entry *e = &table->entries[i];
        const void *from = member_of(e, config);

        if (e->kind == SVC_CONFIG_FLAG) {
            continue;
        }
        buf_addf(out, "%s=", e->name);
        if (e->kind == SVC_CONFIG_TEXT) {
            const char *text = *(const char *const *)from;

            print_text(e, text != NULL ? text : "", out);
        } else if (e->kind == SVC_CONFIG_INT) {
            buf_addf(out, "%lld", (long long)*(const int64_t *)from);
        } else if (e->kind == SVC_CONFIG_BOOL) {
            buf_addf(out, "%d", *(const bool *)from ? 1 : 0);
        } else if (e->kind == SVC_CONFIG_KEY) {
            buf_add_str(out, ((const struct svc_key *)from)->is_set ? "***" : "");
        } else {
            const struct svc_range *range = from;

            buf_addf(out, "%lld-%lld", (long long)range->min, (long long)range->max);
        }
        buf_add_u8(out, '\n');
    }
}

int svc_start(const struct svc_config_table *table, const struct svc_common *common,
              struct err *err)
{
    enum log_level level = LOG_INFO;

    (void)log_level_parse(common->log_level, &level);
    log_setup(table->service, level, common->log_pretty);
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that goes away shows as EPIPE */
    log_info("starting", LOG_STR("instance", common->instance_id), LOG_INT("pid", getpid()),
             LOG_STR("db", common->db_name), LOG_STR("db_host", common->db_host),
             LOG_STR("kafka", common->kafka_brokers));
    return err_wrap(err, crash_setup(common->crash_at, err), "KENTONGAN_CRASH_AT");
}
