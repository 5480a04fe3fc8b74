/* Both heads, and a URL, from the same bytes: no crash, and never more bytes consumed than there
 * are. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "ws/ws.h"
#include "ws/ws_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_url(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);

    if (ws_url_check(text, NULL) == 0) {
        assert(strncasecmp(text, "ws://", 5) == 0 || strncasecmp(text, "wss://", 6) == 0);
    }
    free(text);
}

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
    as_url(data, size);
    return 0;
}
