/* Both heads from the same bytes: no crash, and never more bytes consumed than there are. */
#include <assert.h>

#include "base/err.h"
#include "ws/ws_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {data, size};
    struct ws_http_head head = {0};

    if (ws_http_parse_request(in, &head, NULL) == 1) {
        assert(head.n_bytes <= size && head.path[0] == '/');
    }
    if (ws_http_parse_response(in, "dGhlIHNhbXBsZSBub25jZQ==", &head, NULL) == 1) {
        assert(head.n_bytes <= size);
    }
    return 0;
}
