/* States from rows: what can be read is written and read again the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "domain/blast.h"
#include "domain/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void session_again(const struct session *session)
{
    struct session same = {0};
    struct buf row = {0};
    struct buf again = {0};

    session_to_json(session, &row);
    if (session_from_json(buf_text(&row), row.n, &same, NULL) != 0) {
        abort();
    }
    session_to_json(&same, &again);
    if (strcmp(buf_text(&row), buf_text(&again)) != 0) {
        abort();
    }
    buf_done(&row);
    buf_done(&again);
}

static void blast_again(const struct blast *blast)
{
    struct blast same = {0};
    struct buf row = {0};
    struct buf again = {0};

    blast_to_json(blast, &row);
    if (blast_from_json(buf_text(&row), row.n, &same, NULL) != 0) {
        abort();
    }
    blast_to_json(&same, &again);
    if (strcmp(buf_text(&row), buf_text(&again)) != 0) {
        abort();
    }
    buf_done(&row);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = size > 0 ? (const char *)data : "";
    struct session session = {0};
    struct blast blast = {0};

    if (session_from_json(text, size, &session, NULL) == 0) {
        session_again(&session);
    }
    if (blast_from_json(text, size, &blast, NULL) == 0) {
        blast_again(&blast);
    }
    return 0;
}
