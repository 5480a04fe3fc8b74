/* Stanzas of a logged-in client, as the bytes of packed nodes: a length of two bytes before each.
 * Whatever they are, the world answers or hangs up, and goes on. */
#include <assert.h>
#include <string.h>

#include "sandbox/sandbox_tester.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS = 500 };

static struct sandbox_world *world;
static struct sandbox_account *account;
static struct tester tester;

static void begin(void)
{
    static const char *const numbers[] = {"4915111111111", "4915122222222"};
    struct sandbox_options options = {.now_ms = 1763700000000};
    struct sandbox_account *made[2];

    if (sandbox_world_new(&options, &world, NULL) < 0 ||
        sandbox_world_phones(world, 2, numbers, NULL, made, NULL) < 0) {
        assert(false && "no world");
    }
    account = made[0];
    tester_init(&tester, world);
    (void)tester_pair(&tester, account);
}

static void end(void)
{
    tester_done(&tester);
    sandbox_world_free(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned inputs; /* of this world: pairing costs a thousand times more than an input */

    if (world != NULL && (tester.conn == NULL || tester.has_ended)) {
        tester_connect(&tester); /* the world hung up on the input before */
    }
    if (world == NULL || inputs++ % INPUTS == 0 || !tester.is_ready ||
        tester.n_seen > TESTER_SEEN_MAX / 2) {
        if (world != NULL) {
            end();
        }
        begin();
    }
    while (size >= 2 && !tester.has_ended && tester.conn != NULL) {
        size_t n = (size_t)data[0] << 8 | data[1];

        data += 2;
        size -= 2;
        n = n < size ? n : size;
        if (wa_client_send_packed(tester.client, (struct bytes){data, n}, NULL) == 0) {
            tester_pump(&tester);
        }
        data += n;
        size -= n;
    }
    tester_pass(&tester, 1000);
    return 0;
}
