/* Where Redis is, as an operator wrote it. What is taken makes sense; an error repeats no secret.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "cache/cache_url.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct cache_url *url)
{
    int64_t port;

    must((url->path != NULL) != (url->host != NULL));
    must(url->path == NULL || url->path[0] == '/');
    must(url->host == NULL || (url->host[0] != '\0' && text_to_int(url->port, 1, 65535, &port)));
    must(url->user == NULL || url->password != NULL);
    must(url->database >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    struct cache_url url = {0};
    struct err err = {0};

    if (cache_url_parse(text, &url, &err) == 0) {
        check(&url);
        cache_url_done(&url);
    } else {
        must(url.host == NULL && url.password == NULL && strstr(err.text, "hidden") == NULL);
    }
    free(text);
    return 0;
}
