// Tokens by npm's jose: a JSON list of {name, keys, token, expected}, where `expected` is the user, or the word with which it is refused.
import { SignJWT, UnsecuredJWT, exportJWK, generateKeyPair } from 'jose'

const issuer = 'https://id.example'
const now = Math.floor(Date.now() / 1000)
const cases = []

async function one(name, alg, expected, { header = {}, claims = {}, change = (jwk) => jwk } = {}) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const keys = [change({ ...(await exportJWK(publicKey)), kid: 'k', alg, use: 'sig' })]
  const told = { iss: issuer, aud: 'boxoffice', sub: 'ann', exp: now + 3600, ...claims }
  const token = await new SignJWT(told).setProtectedHeader({ alg, kid: 'k', typ: 'at+jwt', ...header }).sign(privateKey)
  cases.push({ name: `${name}, ${alg}`, keys: { keys }, token, expected })
  return keys
}

// Ed25519 is the name that RFC 9864 gives to EdDSA with a key of that curve.
for (const alg of ['EdDSA', 'Ed25519', 'ES256', 'RS256', 'PS256']) {
  await one('a good token', alg, 'ann')
  await one('without a type', alg, 'ann', { header: { typ: undefined } })
  await one('a key that does not say for what', alg, 'ann', { change: ({ alg: _, use: __, ...jwk }) => jwk })
  await one('several audiences', alg, 'ann', { claims: { aud: ['account', 'boxoffice'] } })
  await one('expired', alg, 'expired', { claims: { exp: now - 3600 } })
  await one('not yet valid', alg, 'not_yet_valid', { claims: { nbf: now + 3600 } })
  await one('for somebody else', alg, 'audience', { claims: { aud: 'account' } })
  await one('of somebody else', alg, 'issuer', { claims: { iss: 'https://id.example/' } })
  await one('a token of another kind', alg, 'type', { header: { typ: 'logout+jwt' } })
}
for (const alg of ['ES384', 'ES512', 'RS384', 'RS512', 'PS384', 'PS512']) {
  const keys = await one('a good token', 'ES256', 'ann')
  const { privateKey } = await generateKeyPair(alg)
  const token = await new SignJWT({}).setProtectedHeader({ alg, kid: 'k' }).sign(privateKey)
  cases.push({ name: `an algorithm that is not accepted, ${alg}`, keys: { keys }, token, expected: 'algorithm' })
}
const keys = await one('a good token', 'RS256', 'ann')
// An HMAC with the public key as its secret, for readers that let the token choose.
const secret = new TextEncoder().encode(JSON.stringify(keys[0]))
for (const alg of ['HS256', 'HS384', 'HS512']) {
  const hmac = new SignJWT({ iss: issuer, aud: 'boxoffice', sub: 'root', exp: now + 3600 }).setProtectedHeader({ alg, kid: 'k' })
  cases.push({ name: `an HMAC, ${alg}`, keys: { keys }, token: await hmac.sign(secret), expected: 'algorithm' })
}
const unsecured = new UnsecuredJWT({ iss: issuer, aud: 'boxoffice', sub: 'root', exp: now + 3600 }).encode()
cases.push({ name: 'none', keys: { keys }, token: unsecured, expected: 'algorithm' })
console.log(JSON.stringify(cases))
