"""Checks a draw by docs/draw.md alone: python verify_draw.py DRAW.json TOKEN_DRAW.json [COMMITMENT]"""

import hashlib
import json
import math
import sys
import uuid


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leads(root, leaf, index, size, path):
    at, last, r = index, size - 1, sha256(b"\0", leaf)
    for p in path:
        if last == 0:
            return False
        if at % 2 == 1 or at == last:
            r = sha256(b"\1", p, r)
            while at % 2 == 0 and at != 0:
                at, last = at // 2, last // 2
        else:
            r = sha256(b"\1", r, p)
        at, last = at // 2, last // 2
    return 0 <= index < size and last == 0 and r == root


draw, mine = (json.load(open(name)) for name in sys.argv[1:3])
secret, root, beacon, seed, leaf = (bytes.fromhex(text) for text in (*(draw[m] for m in ("secret", "root", "beacon", "seed")), mine["hash"]))
token, proof = uuid.UUID(mine["token"]).bytes, mine["proof"]
share = int.from_bytes(sha256(seed, token), "big") / 2**256
likely, deviation = 1 + share * (mine["of"] - 1), math.sqrt(share * (1 - share) * (mine["of"] - 1))
checks = {
    "algorithm": draw["algorithm"] == "boxoffice-draw-1",
    "commitment": draw["commitment"] == sha256(secret).hex() and draw["commitment"] in (sys.argv[3:] or [draw["commitment"]]),
    "seed": seed == sha256(secret, root, beacon),
    "hash": leaf == sha256(token),
    "size": mine["of"] == proof["size"] == draw["registered"],
    "proof": leads(root, leaf, proof["index"], proof["size"], [bytes.fromhex(p) for p in proof["path"]]),
    "number": 1 <= mine["number"] <= mine["of"] and abs(mine["number"] - likely) <= 6 * deviation + 1,
}
wrong = [what for what, holds in checks.items() if not holds]
sys.exit(f"does not hold: {', '.join(wrong)}" if wrong else None)
