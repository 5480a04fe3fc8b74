#include "testkit/testkit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "svc/svc_config.h"
#include "svc/svc_exit.h"

struct config {
    struct svc_common common;
    int64_t port;
    const char *jwt_secret;
    struct svc_key key;
    struct svc_range delay;
    bool rebuild;
};

static int check_redis(const char *text, struct err *err)
{
    return strcmp(text, "nonsense") != 0 ? 0 : err_set(err, ERR_INVALID, "it is none");
}

static const struct svc_config_entry entries[] = {
    SVC_COMMON(struct config, common, check_redis),
    SVC_INT(struct config, port, "PORT", "8080", 1, 65535, "port of the API"),
    SVC_TEXT(struct config, jwt_secret, "JWT_SECRET", NULL, "signs tokens", .min = 16, SVC_SECRET),
    SVC_KEY(struct config, key, "CREDENTIALS_KEY", "", "seals credentials"),
    SVC_RANGE(struct config, delay, "DELAY_MS", "1000-3000", 0, 86400000, "between messages"),
    SVC_FLAG(struct config, rebuild, "--rebuild", "build again"),
};
static const struct svc_config_table table =
    SVC_CONFIG_TABLE("tester", "tests the table", entries, NULL);

#define SECRET "JWT_SECRET=0123456789abcdef"

static int load(char **env, char *argument, struct config *config, char **printed, struct err *err)
{
    static char program[] = "tester";
    char *argv[] = {program, argument, NULL};
    size_t n = 0;
    FILE *out = open_memstream(printed, &n);
    struct svc_config_source source = {argument != NULL ? 2 : 1, argv, env, out};
    int rc = svc_config_load_from(&table, &source, config, err);

    (void)fclose(out);
    return rc;
}

static void expect_error(char **env, const char *want)
{
    struct config config = {0};
    struct err err = {0};
    char *printed = NULL;

    assert_int_equal(load(env, NULL, &config, &printed, &err), -ERR_INVALID);
    if (strstr(err.text, want) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.text, want);
    }
    assert_null(strstr(err.text, "hunter2"));
    free(printed);
}

static void defaults_hold(void **state)
{
    char secret[] = SECRET;
    char *env[] = {secret, NULL};
    struct config config = {0};
    char *printed = NULL;

    (void)state;
    assert_int_equal(load(env, NULL, &config, &printed, NULL), 0);
    assert_int_equal(config.port, 8080);
    assert_int_equal(config.delay.min, 1000);
    assert_int_equal(config.delay.max, 3000);
    assert_string_equal(config.common.instance_id, "tester-1");
    assert_string_equal(config.common.db_user, "tester");
    assert_false(config.key.is_set);
    assert_false(config.rebuild);
    svc_config_done(&table, &config);
    free(printed);
}

static void errors_name_the_variable_and_never_the_secret(void **state)
{
    char secret[] = SECRET;
    char bad_port[] = "PORT=80800";
    char bad_bool[] = "LOG_PRETTY=maybe";
    char bad_level[] = "LOG_LEVEL=loud";
    char bad_range[] = "DELAY_MS=3000-1000";
    char short_secret[] = "JWT_SECRET=hunter2";
    char bad_key[] = "CREDENTIALS_KEY=hunter2";
    char bad_redis[] = "REDIS_URL=nonsense";
    char bad_crash[] = "KENTONGAN_CRASH_AT=somewhere";

    (void)state;
    expect_error((char *[]){NULL}, "JWT_SECRET is not set: signs tokens");
    expect_error((char *[]){secret, bad_port, NULL}, "PORT is \"80800\", want a whole number");
    expect_error((char *[]){secret, bad_bool, NULL}, "LOG_PRETTY is \"maybe\"");
    expect_error((char *[]){secret, bad_level, NULL}, "want one of: debug info warn error");
    expect_error((char *[]){secret, bad_range, NULL}, "DELAY_MS is \"3000-1000\"");
    expect_error((char *[]){short_secret, NULL}, "JWT_SECRET has 7 bytes, want 16 to");
    expect_error((char *[]){secret, bad_key, NULL}, "CREDENTIALS_KEY must be 64 hex digits");
    expect_error((char *[]){secret, bad_redis, NULL}, "REDIS_URL: it is none");
    expect_error((char *[]){secret, bad_crash, NULL}, "KENTONGAN_CRASH_AT: \"somewhere\" is no");
}

static void keys_come_as_hex_or_base64(void **state)
{
    char secret[] = SECRET;
    char hex[] = "CREDENTIALS_KEY=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    char base64[] = "CREDENTIALS_KEY=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    char *texts[] = {hex, base64};

    (void)state;
    for (int i = 0; i < 2; i++) {
        char *env[] = {secret, texts[i], NULL};
        struct config config = {0};
        char *printed = NULL;

        assert_int_equal(load(env, NULL, &config, &printed, NULL), 0);
        assert_true(config.key.is_set);
        assert_int_equal(config.key.bytes[31], 31);
        svc_config_done(&table, &config);
        assert_int_equal(config.key.bytes[31], 0);
        free(printed);
    }
}

static void printing_masks_secrets(void **state)
{
    static const char *const urls[][2] = {
        {"REDIS_URL=redis://me:hunter2@cache:6379/1", "REDIS_URL=redis://***@cache:6379/1\n"},
        {"REDIS_URL=redis://:hunter2@hunter2@cache", "REDIS_URL=redis://***@cache\n"},
        {"REDIS_URL=me:hunter2@cache:6379", "REDIS_URL=***@cache:6379\n"},
        {"REDIS_URL=me:hunter2://@cache", "REDIS_URL=***@cache\n"},
    };
    char secret[] = "JWT_SECRET=hunter2hunter2hunter2";
    char flag[] = "--print-config";

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        char *url = strdup(urls[i][0]);
        char *env[] = {secret, url, NULL};
        struct config config = {0};
        char *printed = NULL;

        assert_int_equal(load(env, flag, &config, &printed, NULL), 1);
        assert_null(strstr(printed, "hunter2"));
        assert_non_null(strstr(printed, "JWT_SECRET=***\n"));
        assert_non_null(strstr(printed, urls[i][1]));
        assert_non_null(strstr(printed, "PORT=8080\n"));
        free(printed);
        free(url);
    }
}

static void arguments_are_known_or_refused(void **state)
{
    char secret[] = SECRET;
    char rebuild[] = "--rebuild";
    char help[] = "--help";
    char odd[] = "--odd";
    char *env[] = {secret, NULL};
    struct config config = {0};
    struct err err = {0};
    char *printed = NULL;

    (void)state;
    assert_int_equal(load(env, rebuild, &config, &printed, NULL), 0);
    assert_true(config.rebuild);
    svc_config_done(&table, &config);
    free(printed);
    assert_int_equal(load((char *[]){NULL}, help, &config, &printed, NULL), 1);
    assert_non_null(strstr(printed, "--rebuild"));
    assert_non_null(strstr(printed, "PORT"));
    free(printed);
    assert_int_equal(load(env, odd, &config, &printed, &err), -ERR_INVALID);
    assert_non_null(strstr(err.text, "--odd"));
    free(printed);
}

static void a_secret_may_come_from_a_file(void **state)
{
    char path[] = "/tmp/svc_config_test.XXXXXX";
    int fd = mkstemp(path);
    struct buf name = {0};
    char *env[] = {NULL, NULL};
    struct config config = {0};
    char *printed = NULL;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789abcdefXYZ\n", 20), 20);
    (void)close(fd);
    buf_addf(&name, "JWT_SECRET_FILE=%s%c", path, 0);
    env[0] = (char *)name.p;
    assert_int_equal(load(env, NULL, &config, &printed, NULL), 0);
    assert_string_equal(config.jwt_secret, "0123456789abcdefXYZ");
    svc_config_done(&table, &config);
    free(printed);
    (void)unlink(path);
    expect_error(env, "JWT_SECRET_FILE: cannot read");
    buf_done(&name);
}

static void exit_status_says_what_stopped_us(void **state)
{
    struct err err = {0};

    (void)state;
    (void)err_set(&err, ERR_INVALID, "PORT");
    assert_int_equal(svc_die("tester", &err), SVC_EXIT_CONFIG);
    (void)err_set(&err, ERR_EXTERNAL, "no broker");
    assert_int_equal(svc_die("tester", &err), SVC_EXIT_UNAVAILABLE);
    (void)err_set(&err, ERR_FENCED, "taken over");
    assert_int_equal(svc_die("tester", &err), SVC_EXIT_FENCED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold),
        cmocka_unit_test(errors_name_the_variable_and_never_the_secret),
        cmocka_unit_test(keys_come_as_hex_or_base64),
        cmocka_unit_test(printing_masks_secrets),
        cmocka_unit_test(arguments_are_known_or_refused),
        cmocka_unit_test(a_secret_may_come_from_a_file),
        cmocka_unit_test(exit_status_says_what_stopped_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
