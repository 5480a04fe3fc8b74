#include "ledger/ledger_rows.h"

#include "ledger/ledger.h"

void ledger_rows_add(struct ledger_tx *tx, int partition, const struct ledger_rows_text *text,
                     struct ledger_rows *rows)
{
    if (rows->stmt == NULL) {
        rows->stmt = ledger_sql(tx, partition, text->text);
        for (unsigned i = 0; i < text->n; i++) {
            rows->column[i] = pg_add_array(rows->stmt, text->kinds[i]);
        }
    }
    rows->n++;
}

void ledger_rows_close(const struct ledger_rows_text *texts, size_t n, struct ledger_rows *rows)
{
    for (size_t i = 0; i < LEDGER_PARTITIONS * n; i++) {
        if (rows[i].stmt != NULL && texts[i % n].counts) {
            pg_stmt_expect(rows[i].stmt, (int64_t)rows[i].n);
        }
        rows[i] = (struct ledger_rows){0};
    }
}
