#include "webhooks/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "testkit/testkit.h"
#include "ws/ws_tls.h"

#define HEX32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define KEY   "WEBHOOK_KEY=" HEX32

/* @want NULL: good; else part of the error. */
static void expect(const char *key, const char *setting, const char *want)
{
    char words[2][256];
    char *env[] = {words[0], words[1], NULL};
    char program[] = "webhooks";
    char *argv[] = {program, NULL};
    const struct svc_config_source source = {1, argv, env, stdout};
    struct config config = {0};
    struct err err = {0};
    int rc;

    (void)snprintf(words[0], sizeof(words[0]), "%s", key);
    (void)snprintf(words[1], sizeof(words[1]), "%s", setting);
    rc = svc_config_load_from(&config_table, &source, &config, &err);
    if ((rc == 0) != (want == NULL) || (want != NULL && strstr(err.text, want) == NULL)) {
        fail_msg("rc %d, \"%s\", wanted \"%s\"", rc, err.text, want != NULL ? want : "nothing");
    }
    if (rc == 0) {
        svc_config_done(&config_table, &config);
    }
}

static void what_it_cannot_run_with_is_named(void **state)
{
    (void)state;
    expect(KEY, "LOG_LEVEL=info", NULL);
    expect(KEY "," HEX32, "WEBHOOK_ALLOW_NETS=10.1.0.0/16,::1", NULL);
    expect("LOG_LEVEL=info", "LOG_PRETTY=1", "WEBHOOK_KEY");
    expect(KEY "x", "LOG_LEVEL=info", "WEBHOOK_KEY: ");
    expect(KEY, "WEBHOOK_ALLOW_NETS=10.1.0.0/16,localhost",
           "WEBHOOK_ALLOW_NETS: \"localhost\" is not an address");
    expect(KEY, "WEBHOOK_TIMEOUT_MS=99", "WEBHOOK_TIMEOUT_MS");
    expect(KEY, "WEBHOOK_CA_FILE=/nowhere/ca.pem", "WEBHOOK_CA_FILE: no certificates");
    expect(KEY, "WEBHOOK_CA_FILE=/dev/null", "WEBHOOK_CA_FILE: no certificates");
}

static void a_file_of_certificates_is_taken(void **state)
{
    char path[] = "/tmp/webhooks_config_test.XXXXXX";
    const char *const hosts[] = {"localhost", NULL};
    struct ws_test_ca ca;
    char setting[64];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ws_test_ca_init(&ca, hosts, NULL), 0);
    assert_int_equal(write(fd, ca.ca_pem.p, ca.ca_pem.n), ca.ca_pem.n);
    (void)snprintf(setting, sizeof(setting), "WEBHOOK_CA_FILE=%s", path);
    expect(KEY, setting, NULL);
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(path), 0);
    ws_test_ca_done(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_cannot_run_with_is_named),
        cmocka_unit_test(a_file_of_certificates_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
