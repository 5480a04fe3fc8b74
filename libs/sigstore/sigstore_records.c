#include "sigstore/sigstore_records.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 8, LIST_FIRST = 8 };

/* One layer of changes of a record. */
struct layer {
    bool is_set;
    bool removed;
    uint8_t *p; /* owned secret */
    size_t n;
};

struct sigstore_record {
    struct sigstore_record *next;          /* in its bucket */
    struct sigstore_record *newer, *older; /* by last use */
    uint32_t hash;
    enum sigstore_kind kind;
    uint64_t version; /* 0: not stored */
    uint8_t *p;       /* owned secret; as stored */
    size_t n;
    struct layer staged;
    struct layer operation;
    char key[]; /* NUL-terminated */
};

static void wipe_free(uint8_t *p, size_t n)
{
    if (p != NULL) {
        mem_wipe(p, n);
        free(p);
    }
}

static void layer_clear(struct layer *layer)
{
    wipe_free(layer->p, layer->n);
    *layer = (struct layer){0};
}

static uint32_t hash_of(enum sigstore_kind kind, const char *key)
{
    uint32_t hash = 2166136261U ^ (uint32_t)kind; /* FNV-1a; keys are ids, not a peer's choice */

    for (; *key != '\0'; key++) {
        hash = (hash ^ (uint8_t)*key) * 16777619U;
    }
    return hash;
}

/* ---- table and order of use ---- */

static void unlink_use(struct sigstore_records *records, struct sigstore_record *record)
{
    if (record->newer != NULL) {
        record->newer->older = record->older;
    } else {
        records->newest = record->older;
    }
    if (record->older != NULL) {
        record->older->newer = record->newer;
    } else {
        records->oldest = record->newer;
    }
}

static void link_newest(struct sigstore_records *records, struct sigstore_record *record)
{
    record->newer = NULL;
    record->older = records->newest;
    if (records->newest != NULL) {
        records->newest->newer = record;
    } else {
        records->oldest = record;
    }
    records->newest = record;
}

static struct sigstore_record *find(const struct sigstore_records *records, enum sigstore_kind kind,
                                    const char *key)
{
    uint32_t hash = hash_of(kind, key);
    struct sigstore_record *record = NULL;

    if (records->bucket_count > 0) {
        record = records->buckets[hash & (records->bucket_count - 1)];
    }
    while (record != NULL &&
           (record->hash != hash || record->kind != kind || strcmp(record->key, key) != 0)) {
        record = record->next;
    }
    return record;
}

static void rehash(struct sigstore_records *records, size_t bucket_count)
{
    struct sigstore_record **buckets = mem_array0(bucket_count, sizeof(struct sigstore_record *));

    for (size_t i = 0; i < records->bucket_count; i++) {
        struct sigstore_record *record = records->buckets[i];

        while (record != NULL) {
            struct sigstore_record *next = record->next;
            struct sigstore_record **home = &buckets[record->hash & (bucket_count - 1)];

            record->next = *home;
            *home = record;
            record = next;
        }
    }
    free(records->buckets);
    records->buckets = buckets;
    records->bucket_count = bucket_count;
}

static struct sigstore_record *insert(struct sigstore_records *records, enum sigstore_kind kind,
                                      const char *key)
{
    size_t len = strlen(key);
    struct sigstore_record *record = mem_new0(sizeof(*record) + len + 1);
    struct sigstore_record **home;

    assert(len < SIGSTORE_KEY_MAX);
    if (records->count >= records->bucket_count) {
        rehash(records, records->bucket_count == 0 ? FIRST_BUCKETS : records->bucket_count * 2);
    }
    memcpy(record->key, key, len + 1);
    record->kind = kind;
    record->hash = hash_of(kind, key);
    home = &records->buckets[record->hash & (records->bucket_count - 1)];
    record->next = *home;
    *home = record;
    link_newest(records, record);
    records->count++;
    return record;
}

static void delete (struct sigstore_records *records, struct sigstore_record *record)
{
    struct sigstore_record **at = &records->buckets[record->hash & (records->bucket_count - 1)];

    assert(!record->staged.is_set && !record->operation.is_set);
    while (*at != record) {
        at = &(*at)->next;
    }
    *at = record->next;
    unlink_use(records, record);
    records->count--;
    wipe_free(record->p, record->n);
    free(record);
}

static void list_add(struct sigstore_list *list, struct sigstore_record *record)
{
    if (list->n == list->cap) {
        list->cap = list->cap == 0 ? LIST_FIRST : list->cap * 2;
        list->at = mem_grow(list->at, list->cap, sizeof(struct sigstore_record *));
    }
    list->at[list->n++] = record;
}

/* With its memory: pairing writes hundreds of records, and most accounts are idle most of the time.
 */
static void list_empty(struct sigstore_list *list)
{
    free(list->at);
    *list = (struct sigstore_list){0};
}

/* ---- reading and writing ---- */

static int view(const struct sigstore_record *record, struct bytes *out)
{
    const struct layer *layer = record->operation.is_set
                                    ? &record->operation
                                    : (record->staged.is_set ? &record->staged : NULL);

    if (layer != NULL) {
        *out = (struct bytes){layer->p, layer->n};
        return layer->removed ? 0 : 1;
    }
    *out = (struct bytes){record->p, record->n};
    return record->version > 0 ? 1 : 0;
}

static int load(struct sigstore_records *records, enum sigstore_kind kind, const char *key)
{
    struct sigstore_ref ref = {.kind = kind};
    struct buf stored = {0};
    uint64_t version = 0;
    int rc = 0;

    (void)strncpy(ref.key, key, sizeof(ref.key) - 1);
    if (records->backend != NULL) {
        rc = records->backend->load(records->backend->ctx, &ref, &stored, &version);
    }
    if (rc >= 0) {
        assert(rc == 0 || version > 0);
        sigstore_records_fill(records, &ref, buf_bytes(&stored), rc == 0 ? 0 : version);
    }
    buf_wipe(&stored);
    return rc;
}

int sigstore_records_get(struct sigstore_records *records, enum sigstore_kind kind, const char *key,
                         struct bytes *out)
{
    struct sigstore_record *record = find(records, kind, key);

    if (record == NULL) {
        int rc;

        if (records->backend == NULL) {
            return 0;
        }
        rc = load(records, kind, key);
        if (rc < 0) {
            return rc;
        }
        record = find(records, kind, key);
        assert(record != NULL);
    }
    unlink_use(records, record);
    link_newest(records, record);
    return view(record, out);
}

static struct layer *operation_of(struct sigstore_records *records, enum sigstore_kind kind,
                                  const char *key)
{
    struct sigstore_record *record = find(records, kind, key);

    if (record == NULL) {
        record = insert(records, kind, key);
    }
    if (!record->operation.is_set) {
        list_add(&records->touched, record);
    }
    layer_clear(&record->operation);
    record->operation.is_set = true;
    return &record->operation;
}

void sigstore_records_put(struct sigstore_records *records, enum sigstore_kind kind,
                          const char *key, struct bytes bytes)
{
    uint8_t *copy = mem_dup(bytes.p, bytes.n); /* first: it may be what the layer holds */
    struct layer *layer = operation_of(records, kind, key);

    layer->p = copy;
    layer->n = bytes.n;
}

void sigstore_records_remove(struct sigstore_records *records, enum sigstore_kind kind,
                             const char *key)
{
    operation_of(records, kind, key)->removed = true;
}

/* A one-time key is written by the hundred, and read once, if ever, much later: not worth keeping.
 */
static bool is_worth_keeping(const struct sigstore_records *records,
                             const struct sigstore_record *record)
{
    return records->backend == NULL || record->kind != SIGSTORE_PREKEY;
}

/* An in-memory account remembers no record that is not there; others remember that it is not. */
static void forget_absent(struct sigstore_records *records, struct sigstore_record *record)
{
    if (records->backend == NULL && record->version == 0 && !record->staged.is_set) {
        delete (records, record);
    }
}

void sigstore_records_keep(struct sigstore_records *records)
{
    for (size_t i = 0; i < records->touched.n; i++) {
        struct sigstore_record *record = records->touched.at[i];

        if (!record->staged.is_set) {
            list_add(&records->staged, record);
        }
        layer_clear(&record->staged);
        record->staged = record->operation;
        record->operation = (struct layer){0};
    }
    list_empty(&records->touched);
    if (!records->is_begun) {
        assert(records->backend == NULL); /* its changes would be lost */
        sigstore_records_commit(records);
    }
}

void sigstore_records_drop(struct sigstore_records *records)
{
    for (size_t i = 0; i < records->touched.n; i++) {
        struct sigstore_record *record = records->touched.at[i];

        layer_clear(&record->operation);
        forget_absent(records, record);
    }
    list_empty(&records->touched);
}

/* ---- staged changes ---- */

/* Made and removed since begin: nothing to write. */
static bool is_change(const struct sigstore_record *record)
{
    return !(record->staged.removed && record->version == 0);
}

size_t sigstore_records_change_count(const struct sigstore_records *records)
{
    size_t n = 0;

    for (size_t i = 0; i < records->staged.n; i++) {
        n += is_change(records->staged.at[i]) ? 1 : 0;
    }
    return n;
}

bool sigstore_records_change_next(const struct sigstore_records *records, size_t *at,
                                  struct sigstore_change *out)
{
    while (*at < records->staged.n) {
        const struct sigstore_record *record = records->staged.at[(*at)++];

        if (is_change(record)) {
            *out = (struct sigstore_change){.kind = record->kind,
                                            .key = record->key,
                                            .old_version = record->version,
                                            .removed = record->staged.removed,
                                            .bytes = {record->staged.p, record->staged.n}};
            return true;
        }
    }
    return false;
}

void sigstore_records_commit(struct sigstore_records *records)
{
    assert(records->touched.n == 0);
    for (size_t i = 0; i < records->staged.n; i++) {
        struct sigstore_record *record = records->staged.at[i];

        wipe_free(record->p, record->n);
        record->p = record->staged.p;
        record->n = record->staged.n;
        record->version = record->staged.removed ? 0 : record->version + 1;
        record->staged = (struct layer){0};
        if (is_worth_keeping(records, record)) {
            forget_absent(records, record);
        } else {
            delete (records, record);
        }
    }
    list_empty(&records->staged);
}

void sigstore_records_rollback(struct sigstore_records *records)
{
    assert(records->touched.n == 0);
    for (size_t i = 0; i < records->staged.n; i++) {
        struct sigstore_record *record = records->staged.at[i];

        layer_clear(&record->staged);
        if (record->version == 0) {
            delete (records, record); /* perhaps never loaded: ask again */
        }
    }
    list_empty(&records->staged);
}

/* ---- cache ---- */

void sigstore_records_fill(struct sigstore_records *records, const struct sigstore_ref *ref,
                           struct bytes stored, uint64_t version)
{
    struct sigstore_record *record;

    if (find(records, ref->kind, ref->key) != NULL) {
        return;
    }
    record = insert(records, ref->kind, ref->key);
    record->version = version;
    record->p = mem_dup(stored.p, stored.n);
    record->n = stored.n;
}

bool sigstore_records_has(const struct sigstore_records *records, const struct sigstore_ref *ref)
{
    return find(records, ref->kind, ref->key) != NULL;
}

void sigstore_records_trim(struct sigstore_records *records, size_t keep)
{
    struct sigstore_record *record = records->oldest;

    if (records->backend == NULL) {
        return;
    }
    while (record != NULL && records->count > keep) {
        struct sigstore_record *newer = record->newer;

        if (!record->staged.is_set && !record->operation.is_set) {
            delete (records, record);
        }
        record = newer;
    }
    if (records->count == 0) { /* an idle account costs nothing */
        free(records->buckets);
        records->buckets = NULL;
        records->bucket_count = 0;
    }
}

void sigstore_records_done(struct sigstore_records *records)
{
    struct sigstore_record *record = records->oldest;

    while (record != NULL) {
        struct sigstore_record *newer = record->newer;

        layer_clear(&record->staged);
        layer_clear(&record->operation);
        wipe_free(record->p, record->n);
        free(record);
        record = newer;
    }
    free(records->buckets);
    list_empty(&records->staged);
    list_empty(&records->touched);
    *records = (struct sigstore_records){0};
}
