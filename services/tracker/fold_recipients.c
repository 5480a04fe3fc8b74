/* wa.blast.recipients.v1 into proj.blast_recipients; and into proj.blast_uploads, by which the
 * recipients that no blast came to name are found (sweep.c). */
#include <jansson.h>
#include <stdlib.h>

#include "domain/ids.h"
#include "tracker/projection_internal.h"

struct recipient_row {
    const char *blast_id, *upload_id, *message_id, *recipient, *contact_name, *variables;
    const char *message_template;
    int64_t message_index;
};

#define COLUMN(name, kind, merge)                                                \
    {                                                                            \
#name, TABLE_##kind, TABLE_##merge, offsetof(struct recipient_row, name) \
    }

static const struct table_column columns[] = {
    COLUMN(blast_id, UUID, KEY),     COLUMN(upload_id, TEXT, KEY),
    COLUMN(message_index, INT, KEY), COLUMN(message_id, UUID, SET),
    COLUMN(recipient, TEXT, SET),    COLUMN(contact_name, TEXT, SET),
    COLUMN(variables, JSON, SET),    COLUMN(message_template, TEXT, SET),
};

static const struct table table = {"blast_recipients", columns,
                                   sizeof(columns) / sizeof(columns[0]), NULL};

struct upload_row {
    const char *blast_id, *upload_id;
    int64_t partition;
};

static const struct table_column upload_columns[] = {
    {"blast_id", TABLE_UUID, TABLE_KEY, offsetof(struct upload_row, blast_id)},
    {"upload_id", TABLE_TEXT, TABLE_KEY, offsetof(struct upload_row, upload_id)},
    {"partition", TABLE_INT, TABLE_SET, offsetof(struct upload_row, partition)},
};

static const struct table upload_table = {"blast_uploads", upload_columns, 3, NULL};

static const char *variables_of(struct arena *arena, const struct record_map *map)
{
    if (map->n == 0) {
        return "{}";
    }
    json_t *object = json_object();

    for (size_t i = 0; i < map->n; i++) {
        (void)json_object_set_new(object, map->at[i].name, json_string(map->at[i].value));
    }
    char *text = json_dumps(object, JSON_COMPACT);
    const char *kept = arena_strdup(arena, text);

    free(text);
    json_decref(object);
    return kept;
}

void fold_recipients_add(struct projection *p, int partition, const struct blast_recipients *chunk)
{
    struct upload_row *upload = rows_add(&p->uploads, p->arena, sizeof(*upload));

    *upload = (struct upload_row){chunk->blast_id, chunk->upload_id, partition};
    for (size_t i = 0; i < chunk->recipients.n; i++) {
        const struct recipient *from = &chunk->recipients.at[i];
        int32_t index = chunk->first_index + (int32_t)i;
        struct uuid id = blast_message_uuid(chunk->blast_id, index);
        struct recipient_row *row = rows_add(&p->recipients, p->arena, sizeof(*row));

        *row = (struct recipient_row){
            .blast_id = chunk->blast_id,
            .upload_id = chunk->upload_id,
            .message_index = index,
            .message_id = arena_strdup(p->arena, id.text),
            .recipient = from->phone,
            .contact_name = from->contact_name,
            .variables = variables_of(p->arena, &from->variables),
            .message_template = from->message_template,
        };
    }
}

void fold_recipients_stage(struct projection *p)
{
    projection_write(p, &table, &p->recipients);
    projection_write(p, &upload_table, &p->uploads);
}
