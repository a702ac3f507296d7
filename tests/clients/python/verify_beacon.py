"""Checks the beacon of a draw by docs/draw.md alone, its signature with py_ecc: python verify_beacon.py DRAW.json"""

import datetime
import json
import math
import sys
from hashlib import sha256

from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import decompress_G1, decompress_G2
from py_ecc.optimized_bls12_381 import G2, pairing


def seconds(instant):
    return math.ceil(datetime.datetime.fromisoformat(instant).timestamp())


def chain_hash(info):
    numbers = info["periodSeconds"].to_bytes(4, "big") + seconds(info["genesisTime"]).to_bytes(8, "big")
    name = b"" if info["id"] == "default" else info["id"].encode()
    return sha256(numbers + bytes.fromhex(info["publicKey"]) + bytes.fromhex(info["groupHash"]) + name).hexdigest()


def has_signed(key, round_, signature):
    """BLS with signatures on G1; the message is the hash of the round's number."""
    point = decompress_G2((int(key[:96], 16), int(key[96:], 16)))
    message = sha256(round_.to_bytes(8, "big")).digest()
    hashed = hash_to_G1(message, b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_", sha256)
    return pairing(G2, decompress_G1(int(signature, 16))) == pairing(point, hashed)


draw = json.load(open(sys.argv[1]))
info, round_, signature = draw["beaconInfo"], draw["beaconRound"], draw["beaconSignature"]
since_genesis = seconds(draw["opensAt"]) + 5 - seconds(info["genesisTime"])
checks = {
    "chain": draw["beaconChain"] == chain_hash(info) and info["scheme"] == "bls-unchained-g1-rfc9380",
    "round": round_ == max(0, math.ceil(since_genesis / info["periodSeconds"])) + 1,
    "beacon": draw["beacon"] == sha256(bytes.fromhex(signature)).hexdigest(),
    "signature": has_signed(info["publicKey"], round_, signature),
}
wrong = [what for what, holds in checks.items() if not holds]
sys.exit(f"does not hold: {', '.join(wrong)}" if wrong else None)
