#include "testkit/testkit.h"

#include "base/err.h"
#include "svc/svc_exit.h"
#include "svc/svc_main.h"

struct config {
    struct svc_common common;
    const char *secret;
};

static const struct svc_config_entry entries[] = {
    SVC_COMMON(struct config, common, NULL),
    SVC_TEXT(struct config, secret, "SVC_MAIN_TEST_SECRET", "hunter2", "opens", SVC_SECRET),
};
static const struct svc_config_table table =
    SVC_CONFIG_TABLE("tester", "tests what main does", entries, NULL);

struct service {
    struct config config;
    int result; /* of run */
    int runs;
};

static int run(void *ctx, struct err *err)
{
    struct service *service = ctx;

    service->runs++;
    assert_string_equal(service->config.secret, "hunter2");
    assert_string_equal(service->config.common.instance_id, "tester-1");
    return service->result >= 0 ? service->result
                                : err_set(err, (enum err_code) - service->result, "it ended so");
}

static int status_of(struct service *service, char *argument)
{
    static char program[] = "tester";
    char *argv[] = {program, argument, NULL};

    return svc_main(&table, argument != NULL ? 2 : 1, argv, &service->config.common, run, service);
}

static void the_exit_status_is_that_of_the_service_or_of_its_error(void **state)
{
    struct service well = {.result = 0};
    struct service odd = {.result = SVC_EXIT_SOFTWARE};
    struct service fenced = {.result = -ERR_FENCED};

    (void)state;
    assert_int_equal(status_of(&well, NULL), SVC_EXIT_OK);
    assert_int_equal(status_of(&odd, NULL), SVC_EXIT_SOFTWARE);
    assert_int_equal(status_of(&fenced, NULL), SVC_EXIT_FENCED);
    assert_int_equal(well.runs + odd.runs + fenced.runs, 3);
    assert_null(well.config.secret); /* wiped, whatever the end */
    assert_null(fenced.config.secret);
}

static void a_wrong_argument_or_one_for_output_starts_nothing(void **state)
{
    static char nonsense[] = "--nonsense";
    static char check[] = "--check-config";
    struct service service = {0};

    (void)state;
    assert_int_equal(status_of(&service, nonsense), SVC_EXIT_CONFIG);
    assert_int_equal(status_of(&service, check), SVC_EXIT_OK);
    assert_int_equal(service.runs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exit_status_is_that_of_the_service_or_of_its_error),
        cmocka_unit_test(a_wrong_argument_or_one_for_output_starts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
