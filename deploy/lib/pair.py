"""Links a session with a phone of the sandbox: connects it, takes the QR code from its WebSocket, has a phone scan it.

    python3 deploy/lib/pair.py SESSION [NUMBER]     NUMBER: of the phone; without it a new one scans

Prints the account's number. With another WhatsApp server than the sandbox, scan the code that it draws yourself.
"""

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

from client import Api, Sandbox

HERE = pathlib.Path(__file__).resolve().parent
CONNECT_SECONDS = 60


def addresses() -> dict:
    return json.loads(subprocess.run([HERE.parent / "status", "--json"], check=True, capture_output=True).stdout)


def log_in(where: dict) -> Api:
    api = Api(where["ingress"])
    api.login(where["admin_user"], pathlib.Path(where["admin_password_file"]).read_text().strip())
    return api


def pair(api: Api, session: str, scan: Callable[[str], object]) -> str:
    """Connect `session`, hand the text of its first QR code to scan(), and wait: the account's number."""
    api.call("POST", f"/api/sessions/{session}/connect")
    websocket = api.open_websocket(session)
    scanned = False
    try:
        while (frame := websocket.receive_json()) and frame["type"] != "success":
            if frame["type"] == "error":
                raise SystemExit(f"pairing failed: {frame['data']['error']}")
            if not scanned:
                scan(frame["data"]["qr"])
                scanned = True
    finally:
        websocket.close()
    return connected_phone(api, session)


def connected_phone(api: Api, session: str) -> str:
    end = time.monotonic() + CONNECT_SECONDS
    while time.monotonic() < end:
        shown = api.call("GET", f"/api/sessions/{session}")
        if shown["connected"] and shown["logged_in"]:
            return shown["phone"]
        time.sleep(0.1)
    raise SystemExit(f"session {session} was not connected within {CONNECT_SECONDS} s")


def draw(qr: str, out) -> None:
    """The code as blocks, for a phone's camera."""
    drawn = subprocess.run(["qrencode", "-t", "UTF8", "-m", "2", "-o", "-"], input=qr.encode(), stdout=subprocess.PIPE)
    if drawn.returncode == 0:
        print(drawn.stdout.decode(), file=out, flush=True)


def main() -> None:
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    where = addresses()
    sandbox = Sandbox(where["sandbox"]["admin"])

    def scan(qr: str) -> None:
        draw(qr, sys.stderr)
        sandbox.scan(qr, sys.argv[2] if len(sys.argv) == 3 else None)

    print(pair(log_in(where), sys.argv[1], scan))


if __name__ == "__main__":
    main()
