// A peer on whatsmeow: commands as JSON lines on standard input, events as JSON lines on standard output (peers.py has
// both lists). It talks to the sandbox alone.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	waLog "go.mau.fi/whatsmeow/util/log"
	"google.golang.org/protobuf/proto"
)

type fields map[string]any

var outLock sync.Mutex

func emit(event string, more fields) {
	outLock.Lock()
	defer outLock.Unlock()
	if more == nil {
		more = fields{}
	}
	more["event"] = event
	line, err := json.Marshal(more)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// Warnings and errors of the library are events: a test may assert that there were none.
type logger struct{ module string }

func (l logger) Errorf(format string, args ...any) {
	emit("log", fields{"level": "error", "text": l.module + ": " + fmt.Sprintf(format, args...)})
}
func (l logger) Warnf(format string, args ...any) {
	emit("log", fields{"level": "warn", "text": l.module + ": " + fmt.Sprintf(format, args...)})
}
func (l logger) Infof(format string, args ...any)  { l.trace(format, args...) }
func (l logger) Debugf(format string, args ...any) { l.trace(format, args...) }
func (l logger) Sub(module string) waLog.Logger    { return logger{l.module + "/" + module} }

func (l logger) trace(format string, args ...any) {
	if os.Getenv("PEER_TRACE") != "" {
		fmt.Fprintln(os.Stderr, l.module+": "+fmt.Sprintf(format, args...))
	}
}

func must(err error, what string) {
	if err != nil {
		fmt.Fprintln(os.Stderr, what+":", err)
		os.Exit(1)
	}
}

// Every connection goes to the sandbox, whatever host the library asks for.
func redirect(address, caFile string) *http.Client {
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(caFile)
	must(err, "ca")
	if !pool.AppendCertsFromPEM(pem) {
		must(fmt.Errorf("no certificate in %s", caFile), "ca")
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: pool, ServerName: "localhost"}}
	return &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		},
	}}
}

func textOf(message *waE2E.Message) string {
	if message.GetConversation() != "" {
		return message.GetConversation()
	}
	return message.GetExtendedTextMessage().GetText()
}

type peer struct {
	client *whatsmeow.Client
}

func (p *peer) handle(event any) {
	switch e := event.(type) {
	case *events.PairSuccess:
		emit("paired", fields{"jid": e.ID.String(), "lid": e.LID.String(), "number": e.ID.User})
	case *events.Connected:
		emit("connected", nil)
	case *events.PushNameSetting:
		if err := p.client.SendPresence(context.Background(), types.PresenceAvailable); err != nil {
			emit("failed", fields{"command": "presence", "text": err.Error()})
		}
		emit("push_name", fields{"name": e.Action.GetName()})
	case *events.HistorySync:
		emit("history", fields{"type": e.Data.GetSyncType().String()})
	case *events.Message:
		if e.Message.GetProtocolMessage() != nil {
			return
		}
		emit("message", fields{
			"id": e.Info.ID, "text": textOf(e.Message), "chat": e.Info.Chat.String(),
			"sender": e.Info.Sender.String(), "sender_alt": e.Info.SenderAlt.String(), "from_me": e.Info.IsFromMe,
			"push_name": e.Info.PushName,
		})
	case *events.Receipt:
		kind := string(e.Type)
		if kind == "" {
			kind = "delivered"
		}
		emit("receipt", fields{"type": kind, "ids": e.MessageIDs, "chat": e.Chat.String(), "sender": e.Sender.String()})
	case *events.UndecryptableMessage:
		emit("undecryptable", fields{"id": e.Info.ID})
	case *events.LoggedOut:
		emit("logged_out", fields{"reason": e.Reason.String()})
	case *events.StreamReplaced:
		emit("replaced", nil)
	case *events.Disconnected:
		emit("disconnected", nil)
	}
}

func (p *peer) connect(ctx context.Context) error {
	if p.client.Store.ID == nil {
		codes, err := p.client.GetQRChannel(ctx)
		if err != nil {
			return err
		}
		go func() {
			for item := range codes {
				if item.Event == "code" {
					emit("qr", fields{"text": item.Code})
				}
			}
		}()
	}
	return p.client.Connect()
}

func numberToJID(text string) (types.JID, error) {
	if strings.Contains(text, "@") {
		return types.ParseJID(text)
	}
	return types.NewJID(text, types.DefaultUserServer), nil
}

type command struct {
	Cmd    string   `json:"cmd"`
	To     string   `json:"to"`
	Text   string   `json:"text"`
	IDs    []string `json:"ids"`
	Chat   string   `json:"chat"`
	Sender string   `json:"sender"`
	Number string   `json:"number"`
}

func (p *peer) run(ctx context.Context, c command) error {
	switch c.Cmd {
	case "connect":
		return p.connect(ctx)
	case "disconnect":
		p.client.Disconnect()
		emit("stopped", nil)
		return nil
	case "send":
		to, err := numberToJID(c.To)
		if err != nil {
			return err
		}
		sent, err := p.client.SendMessage(ctx, to, &waE2E.Message{Conversation: proto.String(c.Text)})
		if err == nil {
			emit("sent", fields{"id": sent.ID, "to": c.To, "text": c.Text})
		}
		return err
	case "read":
		chat, err := types.ParseJID(c.Chat)
		if err != nil {
			return err
		}
		sender, err := types.ParseJID(c.Sender)
		if err != nil {
			return err
		}
		return p.client.MarkRead(ctx, c.IDs, time.Now(), chat, sender)
	case "lookup":
		found, err := p.client.IsOnWhatsApp(ctx, []string{"+" + c.Number})
		for _, item := range found {
			emit("found", fields{"number": c.Number, "exists": item.IsIn, "jid": item.JID.String()})
		}
		return err
	case "logout":
		err := p.client.Logout(ctx)
		if err == nil {
			emit("logged_out", fields{"reason": "own wish"})
		}
		return err
	}
	return fmt.Errorf("no such command: %s", c.Cmd)
}

func main() {
	address := flag.String("address", "", "host:port of the sandbox")
	caFile := flag.String("ca", "", "its ca.pem")
	rootKey := flag.String("root-key", "", "its root key, 64 hex digits")
	state := flag.String("state", "", "file for the credentials")
	flag.Parse()
	ctx := context.Background()

	key, err := hex.DecodeString(*rootKey)
	must(err, "root key")
	copy(whatsmeow.WACertPubKey[:], key)
	container, err := sqlstore.New(ctx, "sqlite3", "file:"+*state+"?_foreign_keys=on", logger{"store"})
	must(err, "store")
	device, err := container.GetFirstDevice(ctx)
	must(err, "device")
	p := &peer{client: whatsmeow.NewClient(device, logger{"client"})}
	p.client.EmitAppStateEventsOnFullSync = true // the push name
	http := redirect(*address, *caFile)
	p.client.SetWebsocketHTTPClient(http)
	p.client.SetPreLoginHTTPClient(http)
	p.client.AddEventHandler(p.handle)
	emit("ready", nil)

	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var c command
		must(json.Unmarshal(lines.Bytes(), &c), "command")
		if c.Cmd == "quit" {
			break
		}
		go func() { // some wait for answers that other commands cause
			if err := p.run(ctx, c); err != nil {
				emit("failed", fields{"command": c.Cmd, "text": err.Error()})
			}
		}()
	}
	p.client.Disconnect()
	must(container.Close(), "store")
}
