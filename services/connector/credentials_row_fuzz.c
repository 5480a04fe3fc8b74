/* What a row of credentials may hold once it is opened: what is read is written and read again the
 * same. */
#include <string.h>

#include "connector/credentials.h"
#include "connector/credentials_row.h"
#include "testkit/testkit_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct credentials first = {0};
    struct credentials second = {0};
    struct buf row = {0};
    struct buf again = {0};

    if (credentials_decode((struct bytes){data, size}, &first, NULL) == 0) {
        must(strlen(first.push_name) < sizeof(first.push_name));
        credentials_encode(&first, &row);
        must(credentials_decode(buf_bytes(&row), &second, NULL) == 0);
        credentials_encode(&second, &again);
        must(row.n == again.n && memcmp(row.p, again.p, row.n) == 0);
    }
    buf_wipe(&row);
    buf_wipe(&again);
    return 0;
}
