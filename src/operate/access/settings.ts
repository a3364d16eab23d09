// The section `access` of the configuration: who may come in over HTTP, by which credential, and as what.
import { z } from 'zod'
import { jwtAlgorithms } from '../../base/access/jwt.ts'
import { credential } from '../../base/config/credential.ts'
import { hasUserInfo, isSafeUrl, safeUrlWords } from '../../base/http/safe-url.ts'
import { roles } from '../../base/mcp/tool/tool.ts'

const safeUrl = z
  .url({ protocol: /^https?$/ })
  .refine((text) => !hasUserInfo(text), 'may not hold a user name or password')
  .refine(isSafeUrl, safeUrlWords)
const role = z.enum(roles).describe('What they may do.')
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and hyphens')

const rule = z.strictObject({
  claim: z
    .string()
    .min(1)
    .max(128)
    .describe(
      'The claim of the token: email, sub, common_name (the client id of a service token of Cloudflare), custom.groups for what is within another.',
    ),
  value: z.string().min(1).max(320).describe('What it must be, or hold if it is a list; * stands for any characters.'),
  role,
})
const rules = z
  .array(rule)
  .min(1)
  .max(1_000)
  .describe('Who is let in, and as what; the highest role counts. Nobody else is, be the token ever so good.')

const issuer = z
  .strictObject({
    issuer: safeUrl.describe('Its name in tokens (iss), letter for letter: the address of an OAuth or OpenID provider.'),
    audience: z.string().min(1).describe('What tokens must be for (aud): the address of this server, as its clients ask for it.'),
    jwks_url: safeUrl.optional().describe('Where its public keys are (JWKS).'),
    jwks_file: z.string().min(1).optional().describe('A file with its public keys, in place of jwks_url.'),
    algorithms: z.array(z.enum(jwtAlgorithms)).min(1).default(['RS256']).describe('How it may sign; nothing else is taken.'),
    rules,
  })
  .refine((one) => (one.jwks_url === undefined) !== (one.jwks_file === undefined), 'needs exactly one of jwks_url and jwks_file')

const cloudflare = z.strictObject({
  team: safeUrl
    .refine((text) => !URL.canParse(text) || new URL(text).origin === text, 'must be an address alone: no path, no slash at the end')
    .describe('https://TEAM.cloudflareaccess.com'),
  audience: z.string().min(1).describe('The AUD tag of the application.'),
  rules,
})

export const accessSettings = z.strictObject({
  tokens: z
    .record(name, z.strictObject({ token: credential, role }))
    .default({})
    .describe('Static tokens, by the name of whoever shows them as Authorization: Bearer.'),
  issuers: z
    .record(name, issuer)
    .default({})
    .describe('Whose signed bearer tokens (JWT) are taken, by a name of your own. An email counts only if the issuer has verified it.'),
  cloudflare_access: cloudflare
    .optional()
    .describe('Takes the assertions of Cloudflare Access (Cf-Access-Jwt-Assertion). Absent: that header is ignored.'),
})

export type AccessSettings = z.output<typeof accessSettings>
