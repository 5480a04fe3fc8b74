#include "scheduler/letter.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "domain/campaign.h"
#include "domain/phone.h"
#include "domain/template.h"

/* One piece of memory: the struct, then its texts. */
static struct letter *make(int32_t index, const char *recipient, const char *contact_name,
                           const char *text)
{
    size_t n_recipient = strlen(recipient) + 1;
    size_t n_name = contact_name == NULL ? 0 : strlen(contact_name) + 1;
    size_t n_text = strlen(text) + 1;
    size_t bytes = sizeof(struct letter) + n_recipient + n_name + n_text;
    struct letter *letter = mem_new0(bytes);
    char *p = (char *)(letter + 1);

    letter->index = index;
    letter->bytes = bytes;
    letter->recipient = memcpy(p, recipient, n_recipient);
    p += n_recipient;
    if (contact_name != NULL) {
        letter->contact_name = memcpy(p, contact_name, n_name);
        p += n_name;
    }
    letter->text = memcpy(p, text, n_text);
    return letter;
}

/* The text has a limit of its own; nothing else of a recipient goes into the command. */
static bool is_name_too_long(const char *contact_name)
{
    return contact_name != NULL && strlen(contact_name) > CAMPAIGN_CONTACT_BYTES_MAX;
}

static struct letter *left_out(int32_t index, const char *reason)
{
    struct letter *letter = make(index, "", NULL, "");

    letter->reason = reason;
    return letter;
}

struct letter *letter_new(const struct recipient *recipient, const char *template, int32_t index)
{
    struct destination to = {0};
    struct buf text = {0};
    struct letter *letter;
    unsigned blanks = 0;
    struct template_values values = {.contact_name = recipient->contact_name,
                                     .variables = &recipient->variables};

    if (destination_parse(recipient->phone, &to) < 0) {
        return left_out(index, "not a phone number");
    }
    if (is_name_too_long(recipient->contact_name)) {
        return left_out(index, "the contact's name is too long");
    }
    values.phone = to.phone;
    if (recipient->message_template != NULL) {
        template = recipient->message_template;
    }
    if (template_render(template, &values, &text, &blanks) < 0) {
        letter = left_out(index, "the message is too long");
    } else if (text.n == 0) {
        letter = left_out(index, "the message is empty");
    } else {
        letter = make(index, to.kind == DESTINATION_GROUP ? to.jid : to.phone,
                      recipient->contact_name, buf_text(&text));
        letter->blanks = blanks;
    }
    buf_done(&text);
    return letter;
}

void letter_free(struct letter **letter)
{
    free(*letter);
    *letter = NULL;
}
