#!/usr/bin/env bash
# joserfc 1.8.0 (PyPI): one key on a curve that it does not know makes the whole JWK Set unreadable.
#
# An issuer's JWK Set may hold keys that a client knows nothing of. RFC 7517, section 5, says what to do with them: a key whose `kty` is not understood,
# that lacks members, or whose values are outside of what is supported, should be passed over, so that an issuer can begin with a new kind of key while
# its clients still verify by the old ones. joserfc passes over a `kty` that it does not know (a key of kind "AKP" below), but not a curve: KeySet.import_key_set
# raises KeyError with the curve's name (not one of joserfc's own errors, which callers catch), and there is no set. So tokens are not verified any more that
# another key of the set has signed. Sets like this are published: the health identity providers of Germany have a key on BP-256 (brainpoolP256r1) beside others.
#
# Seen: "the RSA key alone: ann", "beside another kty: ann", "beside another crv: KeyError 'BP-256'". Expected of the third: ann.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check joserfc==1.8.0 cryptography==50.0.2

cat >keys.py <<'PYTHON'
from joserfc import jwk, jwt

key = jwk.RSAKey.generate_key(2048, {"kid": "now", "use": "sig", "alg": "RS256"}, private=True)
token = jwt.encode({"alg": "RS256", "kid": "now"}, {"sub": "ann"}, key)
known = key.as_dict(private=False)
text = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
others = {
    "the RSA key alone": [],
    "beside another kty": [{"kty": "AKP", "kid": "next", "use": "sig", "alg": "ML-DSA-44", "pub": text}],
    "beside another crv": [{"kty": "EC", "crv": "BP-256", "kid": "next", "use": "sig", "x": text, "y": text}],
}
for name, more in others.items():
    try:
        keys = jwk.KeySet.import_key_set({"keys": [*more, known]})
        print(f"{name}: {jwt.decode(token, keys, algorithms=['RS256']).claims['sub']}")
    except Exception as error:
        print(f"{name}: {type(error).__name__} {error}")
PYTHON
venv/bin/python keys.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
the RSA key alone: ann
beside another kty: ann
beside another crv: KeyError 'BP-256'
SEEN
echo "as described"
