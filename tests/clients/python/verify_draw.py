"""Checks a draw by docs/draw.md alone: python verify_draw.py DRAW.json TOKEN_DRAW.json [COMMITMENT [ROOT]]"""
import json
import sys
import uuid
from hashlib import sha256


def leads(root, leaf, index, size, path):
    at, last, r = index, size - 1, sha256(b"\0" + leaf).digest()
    for p in path:
        if last == 0:
            return False
        if at % 2 == 1 or at == last:
            r = sha256(b"\1" + p + r).digest()
            while at % 2 == 0 and at != 0:
                at, last = at // 2, last // 2
        else:
            r = sha256(b"\1" + r + p).digest()
        at, last = at // 2, last // 2
    return 0 <= index < size and last == 0 and r == root


draw, mine = (json.load(open(name)) for name in sys.argv[1:3])
noted = draw | dict(zip(("commitment", "root"), sys.argv[3:]))
secret, root, beacon, seed = (bytes.fromhex(draw[member]) for member in ("secret", "root", "beacon", "seed"))
signature, token, proof = draw.get("beaconSignature"), uuid.UUID(mine["token"]).bytes, mine["proof"]
leaf, path = sha256(token).digest(), [bytes.fromhex(hash) for hash in proof["path"]]
share = int.from_bytes(sha256(seed + token).digest(), "big") / 2**256
likely, deviation = 1 + share * (mine["of"] - 1), (share * (1 - share) * (mine["of"] - 1)) ** 0.5
checks = {
    "algorithm": draw["algorithm"] == "boxoffice-draw-1",
    "commitment": draw["commitment"] == sha256(secret).hexdigest() == noted["commitment"],
    "root": draw["root"] == noted["root"] and mine["of"] == proof["size"] == draw["registered"],
    "beacon": draw["beacon"] == (sha256(bytes.fromhex(signature)).hexdigest() if signature else ""),
    "seed": seed == sha256(secret + root + beacon).digest(),
    "proof": mine["hash"] == leaf.hex() and leads(root, leaf, proof["index"], proof["size"], path),
    "order": 1 <= mine["number"] <= mine["of"] and abs(mine["number"] - likely) <= 6 * deviation + 1,
}
wrong = [what for what, holds in checks.items() if not holds]
sys.exit(f"does not hold: {', '.join(wrong)}" if wrong else None)
