"""Every program says what is wrong with its configuration before it begins.   config_test.py BUILD

Each row is a variable that is wrong: --check-config must name it, with status 78, and no secret may be in what is said.
"""

import pathlib
import subprocess
import sys
import unittest

KEY = "00112233445566778899aabbccddeeff" * 2
SECRET = "do-not-show-this-secret-to-anyone-at-all"
COMMON = {"DB_PASS": SECRET, "REDIS_URL": f"redis://user:{SECRET}@127.0.0.1:6379"}
GOOD = {
    "connector": COMMON | {"CREDENTIALS_KEY": KEY},
    "scheduler": COMMON,
    "tracker": COMMON,
    "webhooks": COMMON | {"WEBHOOK_KEY": KEY},
    "ingress": COMMON | {"WEBHOOK_KEY": KEY, "JWT_SECRET": SECRET, "ADMIN_PASSWORD": SECRET, "API_KEY": SECRET},
}
SECRETS = {
    "connector": ("CREDENTIALS_KEY", "DB_PASS"),
    "scheduler": ("DB_PASS",),
    "tracker": ("DB_PASS",),
    "webhooks": ("WEBHOOK_KEY", "DB_PASS"),
    "ingress": ("WEBHOOK_KEY", "JWT_SECRET", "ADMIN_PASSWORD", "API_KEY", "DB_PASS"),
}
WRONG_ANYWHERE = [
    ("REDIS_URL", "localhost"),
    ("REDIS_URL", "http://localhost:6379"),
    ("DB_PORT", "0"),
    ("DB_PORT", "65536"),
    ("DB_PORT", "5432x"),
    ("KAFKA_SESSION_TIMEOUT_MS", "999"),
    ("LOG_LEVEL", "loud"),
    ("LOG_PRETTY", "perhaps"),
    ("DRAIN_TIMEOUT_MS", "-1"),
    ("INSTANCE_ID", "i" * 65),
    ("KENTONGAN_CRASH_AT", "@"),
    ("KENTONGAN_CRASH_AT", "somewhere"),
    ("KENTONGAN_CRASH_AT", "connector.after.commit@0"),
]
WRONG = {
    "connector": [
        ("CREDENTIALS_KEY", None),
        ("CREDENTIALS_KEY", "zz" * 32),
        ("CREDENTIALS_KEY", KEY + ",abc"),
        ("WHATSAPP_SERVER_API", "ftp://x"),
        ("WHATSAPP_SERVER_API", "wss://"),
        ("WHATSAPP_ROOT_KEY", "zz" * 32),
        ("WHATSAPP_ROOT_KEY", KEY[2:]),
        ("WHATSAPP_CA_FILE", "/nowhere/ca.pem"),
        ("SEND_WINDOW", "0"),
        ("MESSAGE_MAX_ATTEMPTS", "11"),
    ],
    "scheduler": [
        ("BLAST_TIMEZONE", "Nowhere/City"),
        ("BLAST_TIMEZONE", "../../etc/passwd"),
        ("BLAST_MESSAGE_DELAY_MS", "3000-1000"),
        ("BLAST_CONTACT_DELAY_MS", "1000-"),
        ("ACCOUNT_RATE_PER_MIN", "-1"),
    ],
    "tracker": [("KAFKA_TOPIC_PREFIX", "p" * 200)],
    "webhooks": [
        ("WEBHOOK_KEY", None),
        ("WEBHOOK_KEY", "zz" * 32),
        ("WEBHOOK_ALLOW_NETS", "nonsense"),
        ("WEBHOOK_ALLOW_NETS", "10.0.0.0/33"),
        ("WEBHOOK_CA_FILE", "/nowhere/ca.pem"),
        ("WEBHOOK_TIMEOUT_MS", "0"),
    ],
    "ingress": [
        ("WEBHOOK_KEY", None),
        ("WEBHOOK_KEY", "zz" * 32),
        ("JWT_SECRET", "short"),
        ("PORT", "65536"),
        ("HTTP_THREADS", "many"),
        ("API_KEY", "its.own.secret"),
        ("DB_TYPE", "mysql"),
    ],
}


class Config(unittest.TestCase):
    build: pathlib.Path

    def run_with(self, service: str, argument: str, **changed: str | None):
        env = {k: v for k, v in (GOOD[service] | changed).items() if v is not None}
        return subprocess.run(
            [self.build / "services" / service / service, argument], env=env, capture_output=True, text=True, timeout=20
        )

    def test_a_good_configuration_is_called_good(self):
        for service in GOOD:
            with self.subTest(service):
                ran = self.run_with(service, "--check-config")
                self.assertEqual((ran.returncode, ran.stderr), (0, ""))
                self.assertIn(service, ran.stdout)

    def test_what_is_wrong_is_named_and_no_secret_shown(self):
        for service in GOOD:
            for variable, value in WRONG_ANYWHERE + WRONG[service]:
                with self.subTest(service, variable=variable, value=value):
                    ran = self.run_with(service, "--check-config", **{variable: value})
                    self.assertEqual(ran.returncode, 78, ran.stdout + ran.stderr)
                    self.assertIn(variable, ran.stderr)
                    self.assertEqual(len(ran.stderr.splitlines()), 1)
                    self.assertNotIn(SECRET, ran.stderr + ran.stdout)
                    if variable in SECRETS[service] and value:
                        self.assertNotIn(value, ran.stderr)

    def test_printing_masks_secrets(self):
        for service in GOOD:
            with self.subTest(service):
                ran = self.run_with(service, "--print-config")
                shown = dict(line.split("=", 1) for line in ran.stdout.splitlines())
                self.assertEqual(ran.returncode, 0)
                for secret in SECRETS[service]:
                    self.assertEqual(shown[secret], "***")
                self.assertEqual(shown["REDIS_URL"], "redis://***@127.0.0.1:6379")
                self.assertNotIn(SECRET, ran.stdout)
                self.assertNotIn(KEY, ran.stdout)

    def test_help_lists_every_setting(self):
        for service in GOOD:
            with self.subTest(service):
                ran = self.run_with(service, "--help")
                self.assertEqual(ran.returncode, 0)
                for variable in GOOD[service] | {name: "" for name, _ in WRONG_ANYWHERE + WRONG[service]}:
                    self.assertIn(variable, ran.stdout)

    def test_an_unknown_argument_is_refused(self):
        for service in GOOD:
            with self.subTest(service):
                ran = self.run_with(service, "--check-confg")
                self.assertEqual(ran.returncode, 78)
                self.assertIn("--check-confg", ran.stderr)


if __name__ == "__main__":
    Config.build = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
