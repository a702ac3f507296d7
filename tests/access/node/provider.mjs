// An OpenID provider on loopback; by TLS where it is given a file with a certificate and its key. The first line that it prints is its issuer's URL; then it does what each line of its standard input says,
// and answers with a line of JSON:
//
//   token ALGORITHM   an access token (RFC 9068) for the audience boxoffice, signed with that algorithm, valid for three hours
//   rotate            from now on new keys sign; the old ones stay in the set
//   retire            only the keys that sign are in the set
//   away, back        it takes no connections, and takes them again at the same address
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createInterface } from 'node:readline'
import { exportJWK, generateKeyPair } from 'jose'
import { Provider } from 'oidc-provider'

// Standard output is for answers.
console.info = console.error

const algorithms = ['EdDSA', 'ES256', 'RS256', 'PS256']
const client = { client_id: 'box-office-window', client_secret: 'of-this-test' }
let generation = 0
let keys = []
let provider

async function make() {
  generation += 1
  const one = async (alg) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true })
    return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: `${alg}-${generation}` }
  }
  return Promise.all(algorithms.map(one))
}

function serve(issuer) {
  const getResourceServerInfo = (_context, resource) => ({
    scope: 'support',
    audience: 'boxoffice',
    accessTokenFormat: 'jwt',
    accessTokenTTL: 3 * 3600,
    jwt: { sign: { alg: resource.split(':').pop() } },
  })
  provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{ ...client, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    extraTokenClaims: () => ({ realm_access: { roles: ['operator', 'offline_access'] }, boxoffice_priority: 2 }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo },
    },
  }).callback()
}

async function token(issuer, algorithm) {
  const basic = Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')
  const body = { grant_type: 'client_credentials', resource: `urn:boxoffice:${algorithm}`, scope: 'support' }
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${basic}`, connection: 'close' },
    body: new URLSearchParams(body),
  })
  return answer.json()
}

const pem = process.argv[2] && readFileSync(process.argv[2])
const answer = (request, response) => provider(request, response)
const server = pem ? createTlsServer({ key: pem, cert: pem }, answer) : createServer(answer)
const listen = (port) => new Promise((done) => server.listen(port, '127.0.0.1', done))
await listen(0)
const { port } = server.address()
const issuer = `${pem ? 'https' : 'http'}://127.0.0.1:${port}`
keys = await make()
serve(issuer)
console.log(JSON.stringify(issuer))

for await (const line of createInterface({ input: process.stdin })) {
  const [command, argument] = line.split(' ')
  let answer = 'done'
  if (command === 'token') {
    answer = (await token(issuer, argument)).access_token
  } else if (command === 'rotate') {
    keys = [...(await make()), ...keys]
    serve(issuer)
  } else if (command === 'retire') {
    keys = keys.slice(0, algorithms.length)
    serve(issuer)
  } else if (command === 'away') {
    const closed = new Promise((done) => server.close(done))
    server.closeAllConnections()
    await closed
  } else if (command === 'back') {
    await listen(port)
  }
  console.log(JSON.stringify(answer))
}
process.exit()
