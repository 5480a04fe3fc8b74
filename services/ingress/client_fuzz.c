/* The input is the address of a peer, and behind a newline what X-Forwarded-For says. What comes
 * out is an address, or "unknown"; and whom we do not trust nothing makes another. */
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/net.h"
#include "ingress/client.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_an_address(const char *text)
{
    struct net_block block;

    must(memchr(text, '\0', CLIENT_MAX) != NULL);
    must(strcmp(text, "unknown") == 0 || net_block_parse(text, strlen(text), &block));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup(data != NULL ? (const char *)data : "", size);
    char *forwarded = text;
    const char *peer = strsep(&forwarded, "\n");
    const struct net_blocks nobody = {0};
    struct net_blocks proxies;
    char alone[CLIENT_MAX];
    char out[CLIENT_MAX];

    must(net_blocks_parse("127.0.0.0/8,10.0.0.0/8,::1,fd00::/8", &proxies, NULL) == 0);
    client_address(peer, forwarded, &proxies, out);
    must_be_an_address(out);
    client_address(peer, NULL, &proxies, alone);
    client_address(peer, forwarded, &nobody, out);
    must(strcmp(out, alone) == 0);
    free(text);
    return 0;
}
