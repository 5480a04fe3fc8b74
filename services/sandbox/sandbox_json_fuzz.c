/* What tests and demos say to the admin interface: phones to make, and how they behave. */
#include <string.h>

#include "http/http_json.h"
#include "sandbox/sandbox_json.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct sandbox_behaviour *behaviour)
{
    must(behaviour->delay_ms >= 0 && behaviour->reply_delay_ms >= 0);
    must(behaviour->read_delay_ms >= -1);
    must(memchr(behaviour->reply_text, 0, sizeof(behaviour->reply_text)) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sandbox_behaviour behaviour = {.read_delay_ms = -1};
    struct sandbox_json_phones phones;
    json_t *json = NULL;

    if (http_json_parse((struct bytes){data, size}, &json, NULL) < 0) {
        return 0;
    }
    if (sandbox_json_behaviour(json, &behaviour, NULL) == 0) {
        check(&behaviour);
    }
    if (sandbox_json_phones(json, &phones, NULL) == 0) {
        must(phones.n <= SANDBOX_PHONES_MAX);
        for (size_t i = 0; phones.numbers != NULL && i < phones.n; i++) {
            must(phones.numbers[i] != NULL);
        }
        check(&phones.behaviour);
        sandbox_json_phones_done(&phones);
    }
    json_decref(json);
    return 0;
}
