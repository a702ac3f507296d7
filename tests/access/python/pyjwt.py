"""Tokens by PyJWT: a JSON list of {name, keys, token, expected}, where `expected` is the user, or the word with which it is refused."""

import json
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

NOW = int(time.time())
KEYS = {
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "PS256": lambda: rsa.generate_private_key(65537, 3072),
}
cases = []


def jwk(algorithm, key):
    return {**json.loads(get_default_algorithms()[algorithm].to_jwk(key.public_key())), "kid": "k"}


def one(name, algorithm, expected, header=None, **claims):
    key = KEYS[algorithm]()
    told = {"iss": "https://id.example", "aud": "boxoffice", "sub": "ann", "exp": NOW + 3600, **claims}
    token = jwt.encode(told, key, algorithm=algorithm, headers={"kid": "k", **(header or {})})
    cases.append({"name": f"{name}, {algorithm}", "keys": {"keys": [jwk(algorithm, key)]}, "token": token, "expected": expected})


for algorithm in KEYS:
    one("a good token", algorithm, "ann")
    one("an access token", algorithm, "ann", header={"typ": "at+jwt"})
    one("a name that was typed in parts", algorithm, "Zo\u00eb", sub="Zoe\u0308")
    one("a second that is a fraction", algorithm, "ann", exp=NOW + 3600.5)
    one("just expired, on a clock that is ahead", algorithm, "ann", exp=NOW - 1)
    one("expired", algorithm, "expired", exp=NOW - 3600)
    one("a time that is a text", algorithm, "times", nbf=str(NOW))
    one("another key", algorithm, "unknown_key", header={"kid": "j"})
    one("a user that is none", algorithm, "user", sub="")

# 1024 bits: such a key is passed over, and no other is there.
short, long = rsa.generate_private_key(65537, 1024), rsa.generate_private_key(65537, 2048)
keys = [jwk("RS256", short), {**jwk("RS256", long), "kid": "j"}]
token = jwt.encode({"sub": "ann"}, short, algorithm="RS256", headers={"kid": "k"})
cases.append({"name": "a short key", "keys": {"keys": keys}, "token": token, "expected": "unknown_key"})
token = jwt.encode({"iss": "https://id.example", "sub": "ann"}, None, algorithm="none")
cases.append({"name": "none", "keys": {"keys": keys}, "token": token, "expected": "algorithm"})
print(json.dumps(cases))
