// A real authorization server (oidc-provider) that gives tokens for names and passwords, with refresh tokens that are good for once, and says whose a token is.
// Arguments: NAME PASSWORD, seconds that a token lives. Its first line on stdout is its address.
import { createServer } from 'node:http'
import process from 'node:process'
import { Provider } from 'oidc-provider'

const [name, password, lifeS] = process.argv.slice(2)
const server = createServer()
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(issuer, {
  cookies: { keys: ['only for tests'] },
  clients: [
    {
      client_id: 'mcp',
      token_endpoint_auth_method: 'none',
      grant_types: ['password', 'refresh_token', 'authorization_code'],
      redirect_uris: ['http://127.0.0.1/'],
    },
  ],
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  ttl: { AccessToken: Number(lifeS), RefreshToken: 3_600, Grant: 3_600 },
  features: { devInteractions: { enabled: false } },
  rotateRefreshToken: true,
  scopes: ['openid', 'offline_access'],
})

provider.registerGrantType(
  'password',
  async (context) => {
    const { client, params } = context.oidc
    if (params.username !== name || params.password !== password) {
      context.status = 400
      context.body = { error: 'invalid_grant', error_description: `not ${params.password}` }
      return
    }
    const grant = new provider.Grant({ accountId: name, clientId: client.clientId })
    grant.addOIDCScope(params.scope)
    const grantId = await grant.save()
    const common = { accountId: name, client, clientId: client.clientId, grantId, gty: 'password', scope: params.scope }
    const access = new provider.AccessToken(common)
    const refresh = new provider.RefreshToken({ ...common, rotations: 0, iiat: Math.floor(Date.now() / 1_000) })
    context.body = {
      access_token: await access.save(),
      refresh_token: await refresh.save(),
      expires_in: access.expiration,
      token_type: 'Bearer',
    }
  },
  ['username', 'password', 'scope'],
)

const handle = provider.callback()
server.on('request', async (request, response) => {
  if (request.url !== '/v1/token/validate') return void handle(request, response)
  const found = await provider.AccessToken.find((request.headers.authorization ?? '').replace('Bearer ', ''))
  const answer = found ? { valid: true, username: found.accountId, roles: ['operator'], account_type: 'human' } : { valid: false }
  response.end(JSON.stringify(answer))
})
console.log(issuer)
