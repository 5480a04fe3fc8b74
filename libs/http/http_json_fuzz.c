#include <stdint.h>

#include <jansson.h>

#include "http/http_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = NULL;

    if (http_json_parse((struct bytes){data, size}, &json, NULL) == 0) {
        json_decref(json);
    }
    return 0;
}
