/* Addresses and link codes as texts. What is taken is written and taken again the same. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "testkit/testkit_fuzz.h"
#include "wa/wa_code.h"
#include "wa/wa_enc.h"
#include "wa/wa_jid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_jid(const char *text)
{
    char written[WA_JID_TEXT_MAX];
    struct wa_jid jid;
    struct wa_jid again;
    struct wa_jid bare;

    if (!wa_jid_parse(text, &jid)) {
        return;
    }
    must(!wa_jid_is_none(&jid) && strlen(jid.user) <= WA_JID_USER_MAX);
    must(wa_jid_parse(wa_jid_format(&jid, written), &again) && wa_jid_equal(&jid, &again));
    bare = wa_jid_bare(&jid);
    must(bare.device == 0 && wa_jid_same_user(&jid, &bare));
    must(wa_jid_compare(&jid, &again) == 0);
}

static void as_code(const char *text)
{
    char shown[WA_CODE_TEXT_MAX];
    struct wa_code code;
    struct wa_code again;

    if (wa_code_parse(text, &code)) {
        must(strlen(code.text) == WA_CODE_CHARS);
        must(wa_code_parse(wa_code_format(&code, shown), &again));
        must(strcmp(code.text, again.text) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    enum wa_enc_type type;

    as_jid(text);
    as_code(text);
    must(!wa_enc_type_find(text, &type) || strcmp(wa_enc_type_name(type), text) == 0);
    free(text);
    return 0;
}
