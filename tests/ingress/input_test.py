"""Bad input, byte for byte: each gets an error that says what is wrong and where, and costs only its sender."""

import base64
import concurrent.futures
import json
import struct
import urllib.parse

from case import F0, F4, Case, run_all
from wire import Reply, Wire

PHONE = "6281381393739"
KEY = base64.b64encode(b"0123456789abcdef").decode()
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Hostile(Case):
    """After each test the process is the same and serves as before."""

    def setUp(self):
        super().setUp()
        self.wire = Wire(self.stack.port("ingress"), self.admin.token)
        self.pid = self.stack.pid("ingress-1")

    def tearDown(self):
        self.assertTrue(self.stack.is_running("ingress-1"), "ingress ended")
        self.assertEqual(self.stack.pid("ingress-1"), self.pid)
        self.assertIsInstance(self.admin.call("GET", F4), list)
        super().tearDown()

    def refused(self, reply: Reply, status: int, words: str, family: str = F4, code: str = "INVALID_REQUEST"):
        self.assertEqual(reply.status, status, reply.raw[:300])
        self.assertEqual(reply.headers["content-type"], "application/json; charset=utf-8")
        if family == F0:
            self.assertEqual(set(reply.body), {"success", "message", "error"})
            self.assertEqual((reply.body["success"], reply.body["error"]), (False, code))
        else:
            self.assertEqual(set(reply.body), {"error", "message"})
        self.assertIn(words, reply.message)


class Json(Hostile):
    # (body, where and what)
    BODIES = (
        ("{", "line 1, column 1: string or '}' expected"),
        ('{"name":"x",}', "line 1, column 13"),
        ('{\n "name": "x",\n}', "line 3, column 1"),
        ("hello", "line 1, column 5"),
        ("{} {}", "line 1, column 4: end of file expected"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"x"', "not a JSON object"),
        ("7", "not a JSON object"),
        ("{'name':'x'}", "line 1, column 2"),
        ('{"name":"x', "line 1, column 10: premature end of input"),
        ('{"name":NaN}', "line 1, column 11"),
        ('{"name":1e999}', "real number overflow"),
        ('{"name":' + "9" * 40 + "}", "too big integer"),
        ('{"name":"a","name":"b"}', "line 1, column 18: a name repeats"),
        ('{"name":"a","n\\u0061me":"b"}', "a name repeats"),
        ('{"more":{"a":1,"a":2}}', "a name repeats"),
        ('{"name":"a\\u0000b"}', "\\u0000 in a string"),
        (b'{"name":"a\x00b"}', "line 1, column 10: control character 0x0"),
        (b'{"name":"a\x01b"}', "line 1, column 10: control character 0x1"),
        (b'{"name":"\xff"}', "line 1, column 9: unable to decode byte 0xff"),
        (b'{"name":"\xc0\xaf"}', "line 1, column 9: unable to decode byte 0xc0"),
        (b'{"name":"\xed\xa0\x80"}', "line 1, column 9: unable to decode byte 0xed"),
        ('{"name":"\\ud800"}', "invalid Unicode"),
        ("\ufeff{}", "line 1, column 1"),
        ('{"a":' + "[" * 32 + "]" * 32 + "}", "nested deeper than 32: line 1, column 37"),
        ("[" * 200_000, "nested deeper than 32: line 1, column 33"),
        ('{"a":' * 40_000, "nested deeper than 32"),
    )

    def test_what_is_no_json_says_where(self):
        for body, words in self.BODIES:
            for path in (F4, F0, "/api/login"):
                with self.subTest(body=body[:60], path=path):
                    self.refused(self.wire.post(path, body), 400, words, path)

    def test_types_are_checked(self):
        for path, body, words in (
            (F4, {"name": 7}, "name must be a string"),
            (F4, {"name": True}, "name must be a string"),
            (F4, {"name": {}}, "name must be a string"),
            (F4, {"name": ["x"]}, "name must be a string"),
            (F4, {"name": "x" * 101}, "name must be a string of 0 to 100 characters"),
            (F4, {"id": "../x"}, "id must be 1 to 64 letters"),
            (F4, {"id": "x" * 65}, "id must be a string of 1 to 64 characters"),
            (F4, {"webhook_url": "javascript:alert(1)"}, "webhook_url must be an absolute"),
            (F4, {"webhook_url": "http://user:pass@a.b/"}, "webhook_url must be an absolute"),
            ("/api/login", {"username": 1, "password": "x"}, "username must be a string"),
            ("/api/login", {"username": "x" * 101, "password": "x"}, "username must be a string of 1 to 100"),
            ("/api/login", {"username": "x", "password": ""}, "password must be a string of 1 to 256"),
            ("/api/send", {"phone": 1, "recipient": "x", "message": "y"}, "phone must be a string"),
            ("/api/send", {"phone": PHONE, "recipient": PHONE}, "message is required"),
            (F0, {}, "whatsappSessionId is required"),
            (F0, self.blast(messageList={}), "messageList must be an array of 1 to 100000"),
            (F0, self.blast(messageList=[1]), "messageList[0]: must be an object"),
            (F0, self.blast(messageList=[{"phone": PHONE}, {}]), "messageList[1]: phone is required"),
            (F0, self.blast(messageList=[{"phone": 62}]), "messageList[0]: phone must be a string"),
            (F0, self.blast(messageList=[self.person(variables=[])]), "messageList[0]: variables must be an object"),
            (F0, self.blast(messageList=[self.person(variables={"a": {}})]), "variables.a must be a string"),
            (F0, self.blast(messageList=[self.person(variables={"a b": ""})]), '"a b" is no name of a variable'),
            # the answer quotes the name, as much as fits of it
            (F0, self.blast(messageList=[self.person(variables={"\u540d" * 40: ""})]), '" is no name of a variable'),
            (F0, self.blast(messageList=[self.person(variables={f"v{n}": 1 for n in range(51)})]), "over 50 members"),
            (F0, self.blast(messageTemplate="x" * 4097), "messageTemplate must be a string of 1 to 4096"),
            (F0, self.blast(autoStart=1), "autoStart must be true or false"),
            (F0, self.blast(config=[]), "config must be an object"),
            (F0, self.blast(config={"contactDelay": {"min": 1e400, "max": 1}}), "is not JSON"),
            (F0, self.blast(config={"contactDelay": {"min": 0.5, "max": 1}}), "contactDelay: min is not an integer"),
            (F0, self.blast(config={"contactDelay": {"min": -1, "max": 1}}), "contactDelay: min is not within"),
            (F0, self.blast(config={"contactDelay": {"min": 1, "max": 2**62}}), "contactDelay: max is not within"),
            (F0, self.blast(config={"businessHours": {"enabled": "yes"}}), "businessHours: enabled is not true or false"),
        ):
            with self.subTest(path=path, words=words):
                self.refused(self.wire.post(path, json.dumps(body)), 400, words, path)

    @staticmethod
    def person(**members):
        return {"phone": PHONE, **members}

    def blast(self, **members):
        return {"whatsappSessionId": "wa_x", "campaignName": "a", "messageTemplate": "b", "messageList": [self.person()]} | members

    def test_the_open_endpoints_bear_depth_too(self):
        """The registry takes schemas, which are JSON within JSON, from anybody."""
        for schema in ("[" * 30_000, '{\\"a\\":' * 8_000):
            reply = self.wire.post("/subjects/x/versions", f'{{"schema":"{schema}"}}', auth=False)
            self.assertEqual((reply.status, reply.body["error_code"]), (422, 42201))

    def test_a_deep_config_in_a_query(self):
        for config in ("[" * 3000, '{"a":' * 500):
            query = {"whatsappSessionId": "wa_x", "campaignName": "a", "messageTemplate": "b"}
            path = f"{F0}?{urllib.parse.urlencode(query)}&config={config}"
            reply = self.wire.post(path, f"phone\n{PHONE}\n", "Content-Type: text/csv")
            self.refused(reply, 400, "config: nested deeper than 32", F0)


class Framing(Hostile):
    def test_lines_and_headers(self):
        get, post = f"GET {F4} HTTP/1.1\r\nHost: h\r\n{self.wire.auth}", f"POST {F4} HTTP/1.1\r\nHost: h\r\n{self.wire.auth}"
        for request, status, words in (
            (f"{post}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "Content-Length beside Transfer"),
            (f"{post}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}", 400, "more than one Content-Length"),
            (f"{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}", 400, "more than one Content-Length"),
            (f"{post}Content-Length: 2, 2\r\n\r\n{{}}", 400, "Content-Length is not a number"),
            (f"{post}Content-Length: -2\r\n\r\n{{}}", 400, "Content-Length is not a number"),
            (f"{post}Content-Length: 0x2\r\n\r\n{{}}", 400, "Content-Length is not a number"),
            (f"{post}Content-Length: {'9' * 30}\r\n\r\n{{}}", 400, "Content-Length is not a number"),
            (f"{post}Content-Length:\r\n\r\n{{}}", 400, "Content-Length is not a number"),
            (f"{post}Content-Length : 2\r\n\r\n{{}}", 400, "has a blank before its colon"),
            (f"{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "malformed"),
            (f"{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n", 400, "a malformed chunk"),
            (f"{post}Transfer-Encoding: chunked\r\n\r\n-2\r\n{{}}\r\n0\r\n\r\n", 400, "a malformed chunk"),
            (f"{post}Transfer-Encoding: chunked\r\n\r\n{'f' * 16}\r\n{{}}\r\n0\r\n\r\n", 400, "a malformed chunk"),
            (f"{get}X: a\r\n folded\r\n\r\n", 400, "is folded, or has no name"),
            (f"{get}: no name\r\n\r\n", 400, "is folded, or has no name"),
            (f"{get}no colon\r\n\r\n", 400, "malformed"),
            (f"{get}X: a\x01b\r\n\r\n", 400, "control character"),
            (f"{get}X: a\x00b\r\n\r\n", 400, "control character"),
            (f"{get}Host: g\r\n\r\n", 400, "more than one Host"),
            (f"{get}{self.wire.auth}\r\n", 400, "more than one Authorization"),
            (f"GET {F4} HTTP/1.1\r\n\r\n", 400, "no Host header"),
            (get + "".join(f"X-{n}: y\r\n" for n in range(60)) + "\r\n", 400, "over 59 headers"),
            (f"{get}X: {'a' * 20_000}\r\n\r\n", 400, "too large"),
            (f"GET {F4} HTTP/2\r\nHost: h\r\n\r\n", 505, "only HTTP/1.0 and HTTP/1.1"),
            (f"GET {F4}\r\n\r\n", 400, "malformed"),
            (f"FETCH {F4} HTTP/1.1\r\nHost: h\r\n\r\n", 400, "malformed"),
            (f"PATCH {F4} HTTP/1.1\r\nHost: h\r\n\r\n", 405, "takes GET, POST"),
            (f"GET http://h{F4} HTTP/1.1\r\nHost: h\r\n\r\n", 400, "must be a path"),
            ("\x16\x03\x01\x02\x00\r\n\r\n", 400, "control character"),
        ):
            with self.subTest(request=request[:120], words=words):
                self.refused(self.wire.say(request), status, words)

    def test_paths_and_queries(self):
        for path, status, words, code in (
            (f"{F4}/%zz", 400, "bad escape", None),
            (f"{F4}/%00", 400, "bad escape", None),
            (f"{F4}/%2e%2e", 404, "not found", None),
            (f"{F4}/..", 400, "dot segment", None),
            ("//api/sessions", 400, "empty or dot segment", None),
            ("/api%2fsessions", 400, "bad escape", None),
            (f"{F4}/%ff", 400, "not UTF-8", None),
            (f"{F4}/{'a' * 3000}", 400, "the path is over 2048 bytes", None),
            (f"{F0}/%ff", 400, "not UTF-8", "INVALID_REQUEST"),
            (f"{F0}?status=%zz", 400, "query parameter 1 has a bad escape", "INVALID_REQUEST"),
            (f"{F0}?limit=1&%zz=1", 400, "query parameter 2 has a bad escape", "INVALID_REQUEST"),
            (f"{F0}?status=%00", 400, "bad escape", "INVALID_REQUEST"),
            (f"{F0}?status=%ff", 400, "bad escape", "INVALID_REQUEST"),
            (f"{F0}?status={'a' * 5000}", 400, "the query is over 4096 bytes", "INVALID_REQUEST"),
            (f"{F0}?" + "a=1&" * 100, 400, "over 64 parameters", "INVALID_REQUEST"),
            (f"{F0}?limit=0", 400, "limit must be a whole number from 1", "INVALID_PAGINATION"),
            (f"{F0}?limit=-1", 400, "limit must be", "INVALID_PAGINATION"),
            (f"{F0}?limit=1e3", 400, "limit must be", "INVALID_PAGINATION"),
            (f"{F0}?limit=%205", 400, "limit must be", "INVALID_PAGINATION"),
            (f"{F0}?offset=-1", 400, "offset must be a whole number from 0", "INVALID_PAGINATION"),
            (f"{F0}?offset=x", 400, "offset must be", "INVALID_PAGINATION"),
            (f"{F0}?status=odd", 400, "status must be one of IDLE", "INVALID_STATUS"),
        ):
            with self.subTest(path=path[:60]):
                self.refused(self.wire.get(path), status, words, F0 if code else F4, code)

    def test_what_a_query_may_hold(self):
        for query, limit, offset in (
            ("", 50, 0),
            ("?limit=&offset=&status=", 50, 0),
            ("?foo=1&bar&=&", 50, 0),
            ("?limit=1001", 1000, 0),
            (f"?limit={'9' * 40}", 1000, 0),
            (f"?offset={2**63 - 1}", 50, 2**63 - 1),
            (f"?offset={2**63}", 50, 2**63 - 1),
            ("?limit=5&limit=x", 5, 0),
        ):
            with self.subTest(query=query):
                page = self.wire.get(f"{F0}{query}").body["data"]["pagination"]
                self.assertEqual((page["limit"], page["offset"]), (limit, offset))

    def test_a_body_without_a_length_is_none(self):
        self.refused(self.wire.say(self.wire.head("POST", "/api/send") + '{"phone":"62"}'), 400, "phone is required")


class Sizes(Hostile):
    def test_bodies_over_the_limit(self):
        big = b'{"name":"' + b"x" * 300_000 + b'"}'
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (big[:150_000], big[150_000:])) + b"0\r\n\r\n"
        head = self.wire.head
        for request, words, family in (
            (head("POST", F4, f"Content-Length: {len(big)}").encode() + big, "300011 bytes, at most 262144", F4),
            (head("POST", F4, "Content-Length: 99999999", "Expect: 100-continue").encode(), "at most 262144", F4),
            (head("POST", F4, "Transfer-Encoding: chunked").encode() + chunks, "over 262144 bytes", F4),
            (head("POST", F0, f"Content-Length: {13 << 20}").encode() + b" " * (13 << 20), "at most 12582912", F0),
        ):
            with self.subTest(words=words):
                self.refused(self.wire.say(request), 413, words, family, "PAYLOAD_TOO_LARGE")

    def test_slow_peers_are_cut(self):
        """All at once: each waits for the same few seconds."""
        body = self.wire.head("POST", F4, "Content-Length: 100")
        chunked = self.wire.head("POST", F4, "Transfer-Encoding: chunked")
        login = self.wire.head("POST", "/api/login", "Content-Length: 100", auth=False)
        query = "whatsappSessionId=wa_x&campaignName=a&messageTemplate=b"
        csv = self.wire.head("POST", f"{F0}?{query}", "Content-Type: text/csv", "Content-Length: 10000")
        rows = (
            (f"GET {F4} HTTP/1.1\r\nHost: h\r\nX: ", b"a", 0.5, 400, "did not come whole in time", F4),
            (body, b" ", 0.5, 408, "the body came too slowly", F4),
            (body + '{"n', b"", 30, 408, "the body came too slowly: 3 bytes", F4),
            (chunked, b"1", 0.5, 408, "the body came too slowly", F4),
            (login, b" ", 0.5, 408, "the body came too slowly", F4),
            (csv + "phone\n", b"6", 0.5, 408, "the body came too slowly", F0),
        )
        with concurrent.futures.ThreadPoolExecutor(len(rows) + 1) as pool:
            silent = pool.submit(self.wire.drip, "", b"", 30)
            waits = [pool.submit(self.wire.drip, *row[:3]) for row in rows]
            self.assertIsInstance(self.admin.call("GET", F4), list)  # meanwhile
            for wait, (_, _, _, status, words, family) in zip(waits, rows):
                with self.subTest(words=words):
                    self.refused(wait.result(), status, words, family, "REQUEST_TIMEOUT")
                    self.assertLess(wait.result().seconds, 12)
            self.assertEqual(silent.result().raw, b"")

    def test_a_peer_that_leaves_in_the_middle(self):
        with self.wire.dial() as connection:
            connection.sendall(self.wire.head("POST", F4, "Content-Length: 50").encode() + b"{}")
            connection.shutdown(1)
            self.refused(self.wire.hear(connection), 400, "the body ended after 2 bytes")


class Csv(Hostile):
    def post(self, text: str | bytes, **query) -> Reply:
        query = {"whatsappSessionId": "wa_x", "campaignName": "a", "messageTemplate": "b"} | query
        return self.wire.post(f"{F0}?{urllib.parse.urlencode(query)}", text, "Content-Type: text/csv")

    def test_files_that_are_refused(self):
        row = f"{PHONE},a\n"
        for text, words in (
            ("", "the file is empty"),
            ("\n\r\n\n", "the file is empty"),
            ("phone,name\n", "no row follows the header row"),
            ("phone,name", "no row follows the header row"),
            ("name,code\nA,b\n", 'line 1: the header row has no column "phone"'),
            ("Phone,name\n" + row, 'line 1: the header row has no column "phone"'),
            ("phone;name\n", 'line 1: the header row: column 1: "phone;name" is no name'),
            ("phone,code,code\n", 'line 1: the header row: column 3: there is a second "code"'),
            ("phone,phoneNumber\n", 'line 1: the header row: column 2: there is a second "phoneNumber"'),
            ("phone,name,contactName\n", 'line 1: the header row: column 3: there is a second "contactName"'),
            ("phone,,x\n", 'line 1: the header row: column 2: "" is no name'),
            ("phone,first name\n", 'line 1: the header row: column 2: "first name" is no name'),
            ("phone," + ",".join(f"c{n}" for n in range(51)) + "\n", "line 1: the header row names 51 variables, at most 50"),
            ("phone," + "," * 70 + "\n", "line 1: the header row: too many cells"),
            ('"phone,name\n' + row, "line 1: a quoted cell is not closed"),
            ("\n\nphone,name\n" + row + "bad,x\n", "line 5: phone must be"),
            ("phone,name\n" + f"{PHONE}\n", "line 2: 1 cells where the header has 2"),
            ("phone,name\n" + f"{PHONE},a,b\n", "line 2: 3 cells where the header has 2"),
            ("phone,name\n" + row + "0812,b\n", "line 3: phone must be an international number"),
            ("phone,name\n" + row + "\n\nbad,b\n", "line 5: phone must be"),
            (f'phone,name\n{PHONE},"a\nb\r\nc"\nbad,x\n', "line 5: phone must be"),
            (f'phone,name\r\n{PHONE},"a"\r\nbad,"x\r\ny"\r\n', "line 3: phone must be"),
            (f'phone,name\n{PHONE},"a\n' + row, "line 2: a quoted cell is not closed"),
            (f'phone,name\n{PHONE},a"b\n', "line 2: a quote inside a cell"),
            (f'phone,name\n{PHONE},"a"b\n', "line 2: text after a closing quote"),
            (f"phone,name\n{PHONE},a\rb\n", "line 2: a carriage return inside a row"),
            (f"phone,name\n{PHONE},{'x' * 70_000}\n", "line 2: the row is too long"),
            (f'phone,name\n{PHONE},"{"x" * 70_000}"\n', "line 2: a quoted cell is not closed within 65536 bytes"),
            (f"phone,name\n{PHONE},{'x' * 201}\n", "line 2: name has over 200 characters"),
            (f"phone,code\n{PHONE},{'x' * 1025}\n", "line 2: variable code has over 1024 characters"),
            (f"phone,name\n{PHONE},a\0b\n", "line 2: a NUL byte"),
            (b"phone,name\n%b,\xff\n" % PHONE.encode(), "line 2: not UTF-8"),
            (b"\xef\xbbphone,name\n", "line 1: the header row: not UTF-8"),
            ("phone,name\n".encode("utf-16"), "line 1: the header row: a NUL byte"),
        ):
            with self.subTest(text=text[:60]):
                self.refused(self.post(text), 400, words, F0)

    def test_members_in_the_query(self):
        text = f"phone\n{PHONE}\n"
        for query, words in (
            ({"onBadRow": "maybe"}, "onBadRow must be skip or refuse"),
            ({"autoStart": "yes"}, "autoStart must be true or false"),
            ({"campaignName": ""}, "campaignName must be a string of 1 to 200"),
            ({"campaignName": "x" * 201}, "campaignName must be a string of 1 to 200"),
            ({"config": "{"}, "config: not JSON: line 1, column 1"),
            ({"config": "[]"}, "config: not a JSON object"),
            ({"config": '{"contactDelay":{"min":5,"max":1}}'}, "config: contactDelay: min is over max"),
            ({"config": '{"a":1,"a":2}'}, "config: not JSON: line 1, column 10"),
        ):
            with self.subTest(query=query):
                self.refused(self.post(text, **query), 400, words, F0)
        self.refused(self.wire.post(f"{F0}?campaignName=a", text, "Content-Type: text/csv"), 400, "whatsappSessionId is req", F0)

    def test_files_that_are_taken(self):
        for text, accepted in (
            (f"\ufeffphone,name\n{PHONE},a\n", 1),
            (f"phone,name\r\n{PHONE},a\r\n{PHONE},b", 2),
            (f'"phone","name"\r\n"{PHONE}","a ""b"", c\r\nd"\r\n', 1),
            (f"phone,name\n  +{PHONE} ,\n\n\n{PHONE},=1+1\n", 2),
            (f"code,phoneNumber\nx,+{PHONE}\n,{PHONE}@s.whatsapp.net\n", 2),
        ):
            with self.subTest(text=text[:60]):
                reply = self.post(text)
                self.assertEqual(reply.status, 201, reply.raw[:300])
                self.assertEqual(reply.body["data"]["import"], {"accepted": accepted, "skipped": 0, "errors": []})

    def test_bad_rows_are_skipped_and_named(self):
        bad = (
            (b"0812,a", "phone must be"),
            (b"120363302171476233@g.us,a", "phone is a group: sending to groups is not supported"),
            (PHONE.encode(), "1 cells where"),
            (f"{PHONE},a,b".encode(), "3 cells where"),
            (f'{PHONE},"a"b'.encode(), "text after a closing quote"),
            (f'{PHONE},a"b'.encode(), "a quote inside a cell"),
            (f"{PHONE},{'x' * 70_000}".encode(), "the row is too long"),
            (f"{PHONE},".encode() + b"\xff", "not UTF-8"),
            (f"{PHONE},a\0b".encode(), "a NUL byte"),
            (f"{PHONE},{'x' * 201}".encode(), "name has over 200"),
        )
        good = f'{PHONE},"two\nlines"\n'.encode()  # between the bad ones, so that their numbers are not those of rows
        text = b"phone,name\n" + b"".join(good + row + b"\n" for row, _ in bad) + good
        reply = self.post(text, onBadRow="skip")
        self.assertEqual(reply.status, 201, reply.raw[:300])
        report = reply.body["data"]["import"]
        self.assertEqual((report["accepted"], report["skipped"]), (len(bad) + 1, len(bad)))
        self.assertEqual([error["line"] for error in report["errors"]], [4 + 3 * n for n in range(len(bad))])
        for error, (_, words) in zip(report["errors"], bad):
            self.assertIn(words, error["message"])
        self.assertEqual(reply.body["data"]["session"]["totalMessages"], len(bad) + 1)
        self.refused(self.post(text), 400, "line 4: phone must be", F0)
        self.refused(self.post("phone\nx\ny\n", onBadRow="skip"), 400, "2 rows were skipped, the first of them on line 2", F0)

    def test_the_report_is_bounded(self):
        reply = self.post("phone\n" + "bad\n" * 5000 + f"{PHONE}\n", onBadRow="skip")
        report = reply.body["data"]["import"]
        self.assertEqual((report["accepted"], report["skipped"], len(report["errors"])), (1, 5000, 100))


class Sockets(Hostile):
    def setUp(self):
        super().setUp()
        self.session = self.admin.call("POST", F4, {"name": "Socket"})["id"]

    def upgrade(self, path: str | None = None, key: str | None = KEY, version: str | None = "13", *more: str) -> str:
        path = path or f"/api/ws/{self.session}?token={self.admin.token}"
        lines = ["Upgrade: websocket", "Connection: Upgrade", *more]
        lines += [f"Sec-WebSocket-Key: {key}"] if key else []
        lines += [f"Sec-WebSocket-Version: {version}"] if version else []
        return self.wire.head("GET", path, *lines, auth=False)

    def test_upgrades_that_are_refused(self):
        own = f"/api/ws/{self.session}?token={self.admin.token}"
        for request, status, words in (
            (self.upgrade(f"/api/ws/{self.session}"), 401, "Invalid or missing"),
            (self.upgrade(f"/api/ws/{self.session}?token="), 401, "Invalid or missing"),
            (self.upgrade(f"/api/ws/{self.session}?token=wrong"), 401, "Invalid or missing"),
            (self.upgrade(f"/api/ws/{self.session}?token={self.admin.token[:-2]}xx"), 401, "Invalid or missing"),
            (self.upgrade(f"/api/ws/999?token={self.admin.token}"), 404, "Session not found"),
            (self.upgrade(own, key=None), 400, "upgrade is wanted"),
            (self.upgrade(own, key="short"), 400, "upgrade is wanted"),
            (self.upgrade(own, version="8"), 400, "version 13 is wanted"),
            (self.wire.head("GET", own, auth=False), 400, "upgrade is wanted"),
            (self.upgrade(own).replace("GET", "POST", 1), 405, "takes GET"),
        ):
            with self.subTest(words=words):
                self.refused(self.wire.say(request), status, words)

    def test_pages_of_other_origins(self):
        with self.ingress("CORS_ORIGIN=https://ui.example"):
            self.pid = self.stack.pid("ingress-1")
            self.refused(self.wire.say(self.upgrade(None, KEY, "13", "Origin: https://evil.example")), 403, "this origin")
            with self.wire.dial() as connection:
                connection.sendall(self.upgrade(None, KEY, "13", "Origin: https://ui.example").encode())
                self.assertIn(b" 101 ", connection.recv(4096))
        self.pid = self.stack.pid("ingress-1")

    @staticmethod
    def frame(opcode: int, data: bytes = b"", last: bool = True, mask: bool = True, size: int | None = None) -> bytes:
        size = len(data) if size is None else size
        head = bytes([(0x80 if last else 0) | opcode])
        bit = 0x80 if mask else 0
        if size < 126:
            head += bytes([bit | size])
        else:
            head += bytes([bit | (126 if size < 65536 else 127)]) + struct.pack(">H" if size < 65536 else ">Q", size)
        return head + (bytes(4) if mask else b"") + data  # a mask of zeros changes nothing

    def talk(self, *frames: bytes, wait_for: bytes = b"") -> bytes:
        """What a WebSocket says to these frames, until it closes; the last goes when it has said `wait_for`."""
        with self.wire.dial() as connection:
            connection.sendall(self.upgrade().encode())
            heard = b""
            while b"\r\n\r\n" not in heard:
                heard += connection.recv(4096)
            heard = heard.partition(b"\r\n\r\n")[2]
            for frame in frames[:-1]:
                connection.sendall(frame)
            while wait_for not in heard:
                heard += connection.recv(4096)
            connection.sendall(frames[-1])
            while part := connection.recv(4096):
                heard += part
            return heard

    def test_frames_that_are_fine(self):
        bye = self.frame(CLOSE, struct.pack(">H", 1000))
        pong = b"\x8a\x0dare you there"
        self.assertEqual(self.talk(self.frame(PING, b"are you there"), bye, wait_for=pong), pong + b"\x88\x02\x03\xe8")
        self.assertEqual(self.talk(self.frame(PONG, b"unasked"), self.frame(TEXT, b"x" * 4096), bye), b"\x88\x02\x03\xe8")
        parts = [self.frame(TEXT, b"a", last=False), *[self.frame(0, b"", last=False)] * 1000, self.frame(PING), self.frame(0, b"b")]
        heard = self.talk(self.frame(BINARY, b"x"), *parts, bye, wait_for=b"\x8a\x00")
        self.assertEqual(heard, b"\x8a\x00\x88\x02\x03\xe8")

    def test_frames_that_end_it(self):
        for frames, code in (
            ([self.frame(TEXT, b"hello", mask=False)], 1002),
            ([self.frame(PING, b"x" * 126)], 1002),
            ([self.frame(3, b"x")], 1002),
            ([self.frame(0, b"x")], 1002),
            ([self.frame(0x40 | TEXT, b"x")], 1002),
            ([self.frame(TEXT, b"a", last=False), self.frame(TEXT, b"b")], 1002),
            ([self.frame(TEXT, b"\xff\xfe")], 1007),
            ([self.frame(TEXT, b"x" * 4097)], 1009),
            ([self.frame(TEXT, b"x", size=2**40)], 1009),
            ([self.frame(TEXT, b"x", size=2**64 - 1)], 1002),
            ([self.frame(TEXT, b"x" * 3000, last=False), self.frame(0, b"x" * 3000)], 1009),
            ([self.frame(CLOSE, struct.pack(">H", 5))], 1002),
            ([b"GET / HTTP/1.1\r\n\r\n"], 1002),
        ):
            with self.subTest(frames=frames[0][:16], code=code):
                self.assertEqual(self.talk(*frames), b"\x88\x02" + struct.pack(">H", code))


if __name__ == "__main__":
    run_all("ingress-input")
