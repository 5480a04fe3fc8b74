#include "testkit/testkit.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ingress/config.h"

#define SECRET "JWT_SECRET=0123456789abcdef"
#define KEY    "WEBHOOK_KEY=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* @want NULL: good; else part of the error. */
static void expect(const char *const *lines, const char *want)
{
    char *env[8] = {0};
    char program[] = "ingress";
    char *argv[] = {program, NULL};
    const struct svc_config_source source = {1, argv, env, stdout};
    struct config config = {0};
    struct err err = {0};
    int rc;

    for (int i = 0; lines[i] != NULL; i++) {
        env[i] = strdup(lines[i]);
    }
    rc = svc_config_load_from(&config_table, &source, &config, &err);
    if ((rc == 0) != (want == NULL) || (want != NULL && strstr(err.text, want) == NULL)) {
        fail_msg("rc %d, \"%s\", wanted \"%s\"", rc, err.text, want != NULL ? want : "nothing");
    }
    if (rc == 0) {
        svc_config_done(&config_table, &config);
    }
    for (int i = 0; env[i] != NULL; i++) {
        free(env[i]);
    }
}

static void secrets_are_wanted(void **state)
{
    (void)state;
    expect((const char *[]){SECRET, KEY, NULL}, NULL);
    expect((const char *[]){KEY, NULL}, "JWT_SECRET must have at least 16 bytes");
    expect((const char *[]){"JWT_SECRET=short", KEY, NULL}, "JWT_SECRET must have");
    expect((const char *[]){"JWT_SECRET=short", KEY, "DEV_MODE=1", NULL}, "JWT_SECRET must have");
    expect((const char *[]){SECRET, NULL}, "WEBHOOK_KEY is not set");
    expect((const char *[]){"DEV_MODE=1", NULL}, NULL);
}

static void the_default_password_is_for_loopback_alone(void **state)
{
    (void)state;
    expect((const char *[]){SECRET, KEY, "BIND_ADDRESS=127.0.0.2", NULL}, NULL);
    expect((const char *[]){SECRET, KEY, "BIND_ADDRESS=0.0.0.0", NULL},
           "ADMIN_PASSWORD must be set");
    expect((const char *[]){SECRET, KEY, "BIND_ADDRESS=0.0.0.0", "ADMIN_PASSWORD=admin", NULL},
           "ADMIN_PASSWORD must be set");
    expect((const char *[]){SECRET, KEY, "BIND_ADDRESS=0.0.0.0", "ADMIN_PASSWORD=other", NULL},
           NULL);
}

static void proxies_are_networks(void **state)
{
    (void)state;
    expect((const char *[]){SECRET, KEY, "TRUSTED_PROXIES=10.0.0.0/8,fd00::/8", NULL}, NULL);
    expect((const char *[]){SECRET, KEY, "TRUSTED_PROXIES=", NULL}, NULL);
    expect((const char *[]){SECRET, KEY, "TRUSTED_PROXIES=10.0.0.0/8,proxy.local", NULL},
           "TRUSTED_PROXIES: \"proxy.local\" is not an address");
}

static void an_api_key_is_no_token(void **state)
{
    (void)state;
    expect((const char *[]){SECRET, KEY, "API_KEY=a.b.c", NULL}, "API_KEY looks like a token");
    expect((const char *[]){SECRET, KEY, "API_KEY=a.b", NULL}, NULL);
    expect((const char *[]){SECRET, KEY, "API_KEY=a.b.c.d", NULL}, NULL);
}

static void only_postgres_is_supported(void **state)
{
    (void)state;
    expect((const char *[]){SECRET, KEY, "DB_TYPE=mysql", NULL},
           "DB_TYPE is \"mysql\", want one of: postgres");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_wanted),
        cmocka_unit_test(the_default_password_is_for_loopback_alone),
        cmocka_unit_test(proxies_are_networks),
        cmocka_unit_test(an_api_key_is_no_token),
        cmocka_unit_test(only_postgres_is_supported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
