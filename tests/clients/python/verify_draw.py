"""Checks a draw by docs/draw.md alone: python verify_draw.py DRAW.json TOKEN_DRAW.json [COMMITMENT]

The signature of a beacon is checked where py_ecc is installed, and otherwise it is said that it was not."""

import datetime
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


def chain_hash(info):
    numbers = info["periodSeconds"].to_bytes(4, "big") + seconds(info["genesisTime"]).to_bytes(8, "big")
    name = b"" if info["id"] == "default" else info["id"].encode()
    return sha256(numbers, bytes.fromhex(info["publicKey"]), bytes.fromhex(info["groupHash"]), name).hex()


def seconds(instant):
    return math.ceil(datetime.datetime.fromisoformat(instant).timestamp())


def has_signed(key, round_, signature):
    """BLS with signatures on G1; the message is the hash of the round's number."""
    try:
        from py_ecc.bls.hash_to_curve import hash_to_G1
        from py_ecc.bls.point_compression import decompress_G1, decompress_G2
        from py_ecc.optimized_bls12_381 import G2, pairing
    except ImportError:
        print("py_ecc is not installed: the signature of the beacon was not checked", file=sys.stderr)
        return True
    number = lambda text: int.from_bytes(bytes.fromhex(text), "big")
    point = decompress_G2((number(key[:96]), number(key[96:])))
    message = sha256(round_.to_bytes(8, "big"))
    hashed = hash_to_G1(message, b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_", hashlib.sha256)
    return pairing(G2, decompress_G1(number(signature))) == pairing(point, hashed)


def beacon_holds(draw):
    chain, round_, signature, beacon = (draw.get(m) for m in ("beaconChain", "beaconRound", "beaconSignature", "beacon"))
    if chain is None:
        return beacon == ""
    info = draw["beaconInfo"]
    opens, genesis, period = seconds(draw["opensAt"]) + 5, seconds(info["genesisTime"]), info["periodSeconds"]
    if chain != chain_hash(info) or round_ != max(0, -(-(opens - genesis) // period)) + 1:
        return False
    if signature is None:
        print("a beacon was announced but not used: trust in the operator remains", file=sys.stderr)
        return beacon == ""
    return beacon == sha256(bytes.fromhex(signature)).hex() and has_signed(info["publicKey"], round_, signature)


draw, mine = (json.load(open(name)) for name in sys.argv[1:3])
secret, root, beacon, seed, leaf = (bytes.fromhex(text) for text in (*(draw[m] for m in ("secret", "root", "beacon", "seed")), mine["hash"]))
token, proof = uuid.UUID(mine["token"]).bytes, mine["proof"]
share = int.from_bytes(sha256(seed, token), "big") / 2**256
likely, deviation = 1 + share * (mine["of"] - 1), math.sqrt(share * (1 - share) * (mine["of"] - 1))
checks = {
    "algorithm": draw["algorithm"] == "boxoffice-draw-1",
    "commitment": draw["commitment"] == sha256(secret).hex() and draw["commitment"] in (sys.argv[3:] or [draw["commitment"]]),
    "beacon": beacon_holds(draw),
    "seed": seed == sha256(secret, root, beacon),
    "hash": leaf == sha256(token),
    "size": mine["of"] == proof["size"] == draw["registered"],
    "proof": leads(root, leaf, proof["index"], proof["size"], [bytes.fromhex(p) for p in proof["path"]]),
    "number": 1 <= mine["number"] <= mine["of"] and abs(mine["number"] - likely) <= 6 * deviation + 1,
}
wrong = [what for what, holds in checks.items() if not holds]
sys.exit(f"does not hold: {', '.join(wrong)}" if wrong else None)
