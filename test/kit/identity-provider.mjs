// A real authorization server (oidc-provider) in a process of its own: clients register themselves, everybody is logged in as ACCOUNT and consents.
// Tokens are JWTs for the resource that was asked for (RFC 8707). Its first line on stdout is its address.
import { createServer } from 'node:http'
import process from 'node:process'
import { exportJWK, generateKeyPair } from 'jose'
import { Provider } from 'oidc-provider'

const [account, scope] = process.argv.slice(2)
const server = createServer()
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${server.address().port}`
const { privateKey } = await generateKeyPair('RS256', { extractable: true })

const provider = new Provider(issuer, {
  jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256', kid: 'one' }] },
  cookies: { keys: ['only for tests'] },
  findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  pkce: { required: () => true },
  scopes: ['openid', 'offline_access', scope],
  clientDefaults: { token_endpoint_auth_method: 'none' },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        scope,
        audience: resource,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
      useGrantedResource: () => true,
    },
  },
})

/** Whoever asks is logged in, and agrees to everything. */
async function interact(request, response) {
  const details = await provider.interactionDetails(request, response)
  const { prompt, params, session } = details
  if (prompt.name === 'login') return provider.interactionFinished(request, response, { login: { accountId: account } })
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '))
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {}))
    grant.addResourceScope(resource, scopes.join(' '))
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } }, { mergeWithLastSubmission: true })
}

const handle = provider.callback()
server.on('request', (request, response) => {
  if (!request.url.startsWith('/interaction/')) return void handle(request, response)
  interact(request, response).catch((error) => response.writeHead(500).end(String(error)))
})
console.log(issuer)
