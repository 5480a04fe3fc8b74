"""The token table is what its script makes of the dictionaries that Baileys carries, and whom the connector speaks with
unless it is told otherwise is whom Baileys does.

    tokens_test.py BUILD-FOLDER [unittest arguments]
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from peers import TOP, build_baileys, clean_env, toolchain

BUILD = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else "build").resolve()
SCRIPT = TOP / "libs/wa/generate_tokens.mjs"
TABLE = TOP / "libs/wa/wa_tokens_table.inc"


class Tokens(unittest.TestCase):
    def setUp(self):
        self.lists = build_baileys(BUILD).parent / "node_modules/baileys/lib/WABinary/constants.js"

    def generate(self, lists: pathlib.Path) -> subprocess.CompletedProcess:
        return subprocess.run([toolchain("node") + "/node", SCRIPT, lists], capture_output=True, text=True,
                              env=clean_env(), check=False)

    def test_the_table_is_what_the_script_makes(self):
        made = self.generate(self.lists)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(made.stdout, TABLE.read_text())

    def test_other_dictionaries_are_refused(self):
        with tempfile.TemporaryDirectory(prefix="kentongan-tokens.") as folder:
            other = pathlib.Path(folder, "constants.mjs")
            text = self.lists.read_text()
            self.assertIn("'xmlstreamstart'", text)
            other.write_text(text.replace("'xmlstreamstart'", "'xmlstreamstarts'"))
            made = self.generate(other)
        self.assertNotEqual(made.returncode, 0)
        self.assertEqual(made.stdout, "")
        self.assertIn("not dictionary version 3", made.stderr)


class Defaults(unittest.TestCase):
    def test_whatsapp_itself_is_the_default(self):
        theirs = (build_baileys(BUILD).parent / "node_modules/baileys/lib/Defaults/index.js").read_text()
        env = {"DB_PASS": "x", "CREDENTIALS_KEY": "00" * 32}
        ours = subprocess.run([BUILD / "services/connector/connector", "--print-config"], env=env, capture_output=True,
                              text=True, check=True).stdout  # fmt: skip
        settings = dict(line.split("=", 1) for line in ours.splitlines() if "=" in line)
        self.assertRegex(theirs, rf"waWebSocketUrl: '{re.escape(settings['WHATSAPP_SERVER_API'])}'")
        self.assertRegex(theirs, rf"PUBLIC_KEY: Buffer.from\('{settings['WHATSAPP_ROOT_KEY']}', 'hex'\)")


if __name__ == "__main__":
    unittest.main(verbosity=2)
