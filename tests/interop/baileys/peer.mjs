// A peer on Baileys: commands as JSON lines on standard input, events as JSON lines on standard output (peers.py has
// both lists). It talks to the sandbox alone.
//
//   node peer.mjs ADDRESS CA-FILE ROOT-KEY STATE-FOLDER
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { createInterface } from 'node:readline';

import makeWASocket, { DisconnectReason, WA_CERT_DETAILS, useMultiFileAuthState } from 'baileys';

const [address, caFile, rootKey, stateFolder] = process.argv.slice(2);
// Its Signal library writes to the console, which is not the place for what it says.
for (const name of ['log', 'info', 'debug', 'warn', 'error']) console[name] = () => {};
const emit = (event, more = {}) => process.stdout.write(JSON.stringify({ event, ...more }) + '\n');

// Warnings and errors of the library are events: a test may assert that there were none.
const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];
function makeLogger(bound) {
    const logger = { level: 'trace', child: (more) => makeLogger({ ...bound, ...more }) };
    for (const level of levels) {
        logger[level] = (first, second) => {
            const data = typeof first === 'object' ? first : {};
            const text = typeof first === 'string' ? first : second ?? '';
            if (level === 'warn' || level === 'error' || level === 'fatal') {
                const cause = data?.err ?? data?.error ?? data?.trace;
                emit('log', { level, text: `${text} ${cause?.stack ?? cause ?? ''}`.trim() });
            } else if (process.env.PEER_TRACE) {
                process.stderr.write(`${level} ${text} ${JSON.stringify(data)}\n`);
            }
        };
    }
    return logger;
}

WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(rootKey, 'hex');
const { state, saveCreds } = await useMultiFileAuthState(stateFolder);
const written = new Map(); // for retries
let socket;
let stopping = false;

const textOf = (message) => message?.conversation ?? message?.extendedTextMessage?.text ?? '';
const withDevice = (jid) => jid ?? '';

function onConnection({ connection, lastDisconnect, qr, isNewLogin, receivedPendingNotifications, isOnline }) {
    if (qr) emit('qr', { text: qr });
    if (isNewLogin) emit('paired', { jid: state.creds.me.id, lid: state.creds.me.lid, number: state.creds.me.id.split(':')[0] });
    if (connection === 'open') emit('connected');
    if (receivedPendingNotifications) emit('drained');
    if (isOnline) emit('online');
    if (connection !== 'close') return;
    const code = lastDisconnect?.error?.output?.statusCode;
    if (stopping) {
        emit('stopped');
    } else if (code === DisconnectReason.restartRequired) {
        connect();
    } else if (code === DisconnectReason.loggedOut) {
        emit('logged_out', { reason: String(lastDisconnect.error.message) });
    } else if (code === DisconnectReason.connectionReplaced) {
        emit('replaced');
    } else {
        emit('disconnected', { code, text: String(lastDisconnect?.error) });
    }
}

function onMessages({ messages, type }) {
    for (const { key, message, pushName } of messages) {
        if (message?.protocolMessage) continue;
        if (!message) {
            emit('undecryptable', { id: key.id });
            continue;
        }
        emit('message', {
            id: key.id, text: textOf(message), chat: key.remoteJid, chat_alt: withDevice(key.remoteJidAlt),
            sender: withDevice(key.participant ?? key.remoteJid), from_me: key.fromMe, push_name: pushName ?? '', type,
        });
    }
}

// Of several receipts that come at once the library tells only one, so they are taken where it gets them, and its own
// word is an event of its own.
function onReceipt({ attrs, content }) {
    const ids = [attrs.id];
    for (const { attrs: item } of content?.[0]?.tag === 'list' ? content[0].content : []) ids.push(item.id);
    emit('receipt', { type: attrs.type ?? 'delivered', ids, chat: attrs.recipient ?? attrs.from, sender: attrs.from });
}

// Numbers of proto.WebMessageInfo.Status.
const statuses = { 0: 'error', 2: 'acked', 3: 'delivered', 4: 'read', 5: 'played' };

function connect() {
    stopping = false;
    socket = makeWASocket({
        auth: state,
        waWebSocketUrl: `wss://${address}/ws/chat`,
        agent: new Agent({ ca: readFileSync(caFile) }),
        logger: makeLogger({}),
        generateHighQualityLinkPreview: false,
        getMessage: async ({ id }) => written.get(id),
    });
    socket.ev.on('creds.update', (update) => {
        void saveCreds();
        if (update.me?.name) emit('push_name', { name: update.me.name });
    });
    socket.ev.on('connection.update', onConnection);
    socket.ev.on('messages.upsert', onMessages);
    socket.ev.on('messages.update', (updates) => {
        for (const { key, update } of updates) {
            if (update.status !== undefined && statuses[update.status]) {
                emit('status', { status: statuses[update.status], id: key.id, chat: key.remoteJid });
            }
        }
    });
    socket.ws.on('CB:receipt', onReceipt);
    socket.ev.on('messaging-history.set', ({ syncType }) => emit('history', { type: String(syncType) }));
}

const jidOf = (text) => (text.includes('@') ? text : `${text}@s.whatsapp.net`);

const commands = {
    connect,
    disconnect() {
        stopping = true;
        socket.end(undefined);
    },
    async send({ to, text }) {
        const sent = await socket.sendMessage(jidOf(to), { text });
        written.set(sent.key.id, sent.message);
        emit('sent', { id: sent.key.id, to, text });
    },
    async read({ ids, chat }) {
        await socket.readMessages(ids.map((id) => ({ remoteJid: chat, id, fromMe: false })));
    },
    async lookup({ number }) {
        const [found] = await socket.onWhatsApp(number);
        emit('found', { number, exists: found?.exists ?? false, jid: found?.jid ?? '' });
    },
    async logout() {
        await socket.logout();
    },
};

process.on('unhandledRejection', (error) => emit('failed', { command: '', text: String(error?.stack ?? error) }));
emit('ready');
for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    if (command.cmd === 'quit') break;
    Promise.resolve()
        .then(() => commands[command.cmd](command))
        .catch((error) => emit('failed', { command: command.cmd, text: String(error?.stack ?? error) }));
}
stopping = true;
socket?.end(undefined);
setTimeout(() => process.exit(0), 200); // saveCreds has the last word
