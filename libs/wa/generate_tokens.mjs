// Writes wa_tokens_table.inc from the token lists of the npm package "baileys", 7.0.0 or later
// (6.x carries an older dictionary):
//     node generate_tokens.mjs PACKAGE/lib/WABinary/constants.js > wa_tokens_table.inc
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const wanted = 'cfe8fcd3ef24f232ec7df9824e1baa277f6a736543efc0e5f48aa46abb0f8cd0'
const lists = await import(pathToFileURL(resolve(process.argv[2])))
const single = lists.SINGLE_BYTE_TOKENS
const dictionaries = lists.DOUBLE_BYTE_TOKENS
const all = [...single, ...dictionaries.flat()]
const digest = createHash('sha256').update(all.join('\n')).digest('hex')

if (single.length !== 236 || dictionaries.length !== 4 || all.length !== 1260 || digest !== wanted) {
    console.error(`not dictionary version 3: ${single.length} + ${dictionaries.length}, ${digest}`)
    process.exit(1)
}

const bytes = (text) => Buffer.from(text, 'utf8')
const sorted = all.map((_, i) => i).slice(1).sort((a, b) => Buffer.compare(bytes(all[a]), bytes(all[b])))
const rows = (items, width) => {
    const lines = []
    let line = '   '
    for (const item of items) {
        if (line.length + item.length + 2 > width) {
            lines.push(line)
            line = '   '
        }
        line += ` ${item},`
    }
    return [...lines, line].join('\n')
}
const table = (items) => rows(items.map((text) => JSON.stringify(text)), 100)

console.log(`/* Made by generate_tokens.mjs; not edited by hand. */
/* clang-format off */
enum { TOKENS_SINGLE = 236, TOKENS_DICTIONARY = 256, TOKENS_ALL = 1260 };

/* The single-byte tokens, then the four dictionaries one after another. */
static const char *const tokens[TOKENS_ALL] = {
${table(all)}
};

/* Positions in tokens, in the order of their bytes; the empty one left out. */
static const uint16_t tokens_sorted[TOKENS_ALL - 1] = {
${rows(sorted.map(String), 100)}
};
/* clang-format on */`)
