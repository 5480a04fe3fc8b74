/* What is longer than an event may carry is not taken: commands, and recipients. */
#include <string.h>

#include "base/err.h"
#include "domain/blast.h"
#include "domain/campaign.h"
#include "domain/template.h"
#include "scheduler/bounds.h"
#include "scheduler/letter.h"
#include "testkit/testkit.h"

enum { LONG_MAX_BYTES = 950000 };

static const char *text_of(size_t n)
{
    static char text[LONG_MAX_BYTES + 1];

    memset(text, 'x', n);
    text[n] = '\0';
    return text;
}

static struct blast_command a_create(void)
{
    return (struct blast_command){.command_id = "c",
                                  .correlation_id = "c",
                                  .actor_kind = "user",
                                  .kind = BLAST_COMMAND_CREATE,
                                  .as.create = {.blast_key = "k",
                                                .session_key = "sales",
                                                .campaign_name = "c",
                                                .message_template = "t",
                                                .upload_id = "u",
                                                .config = ""}};
}

static void each_text_of_a_command_has_a_limit(void **state)
{
    struct blast_command command = a_create();
    struct create_blast *create = &command.as.create;
    const struct {
        const char *name;
        const char **at;
        size_t max;
    } texts[] = {
        {"correlation_id", &command.correlation_id, 256},
        {"reply_to", &command.reply_to, 256},
        {"actor_kind", &command.actor_kind, 256},
        {"actor_id", &command.actor_id, 256},
        {"create.blast_key", &create->blast_key, 31},
        {"create.session_key", &create->session_key, 64},
        {"create.campaign_id", &create->campaign_id, 64},
        {"create.campaign_name", &create->campaign_name, 800},
        {"create.message_template", &create->message_template, 16384},
        {"create.upload_id", &create->upload_id, 63},
    };

    (void)state;
    assert_int_equal(bounds_check(&command, NULL), 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const char *before = *texts[i].at;
        struct err err = {0};

        *texts[i].at = text_of(texts[i].max);
        assert_int_equal(bounds_check(&command, NULL), 0);
        *texts[i].at = text_of(texts[i].max + 1);
        assert_int_equal(bounds_check(&command, &err), -ERR_LIMIT);
        assert_memory_equal(err.text, texts[i].name, strlen(texts[i].name));
        *texts[i].at = before;
    }
}

static void other_commands_have_no_texts_of_a_create(void **state)
{
    struct blast_command command = {.command_id = "c", .correlation_id = "c", .actor_kind = "user"};

    (void)state;
    command.kind = BLAST_COMMAND_PAUSE;
    assert_int_equal(bounds_check(&command, NULL), 0);
    command.correlation_id = text_of(257);
    assert_int_equal(bounds_check(&command, NULL), -ERR_LIMIT);
}

static const char *reason_of(const struct recipient *recipient, const char *template)
{
    struct letter *letter = letter_new(recipient, template, 0);
    const char *reason = letter->reason; /* a literal */

    letter_free(&letter);
    return reason;
}

/* A record holds the longest text, and the longest name beside it, but not any name. */
static void a_recipient_that_no_record_holds_is_left_out(void **state)
{
    struct record_pair pair = {"all", NULL};
    struct recipient recipient = {.phone = "6281234567890"};

    (void)state;
    recipient.contact_name = text_of(CAMPAIGN_CONTACT_BYTES_MAX);
    assert_null(reason_of(&recipient, "Hi"));
    recipient.contact_name = text_of(CAMPAIGN_CONTACT_BYTES_MAX + 1);
    assert_string_equal(reason_of(&recipient, "Hi"), "the contact's name is too long");
    recipient.contact_name = text_of(LONG_MAX_BYTES);
    assert_string_equal(reason_of(&recipient, "Hi"), "the contact's name is too long");
    recipient.contact_name = NULL;
    recipient.variables = (struct record_map){1, &pair};
    pair.value = text_of(TEMPLATE_OUTPUT_MAX);
    assert_null(reason_of(&recipient, "{{all}}"));
    pair.value = text_of(LONG_MAX_BYTES);
    assert_string_equal(reason_of(&recipient, "{{all}}"), "the message is too long");
    recipient.message_template = text_of(LONG_MAX_BYTES);
    assert_string_equal(reason_of(&recipient, "Hi"), "the message is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_text_of_a_command_has_a_limit),
        cmocka_unit_test(other_commands_have_no_texts_of_a_create),
        cmocka_unit_test(a_recipient_that_no_record_holds_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
