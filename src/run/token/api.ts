// Tokens: what the node says of them, and what it keeps. The token itself is told once, when it is made.
import { z } from 'zod'
import type { Api } from '../../base/control/api.ts'

/** `viewer` observes, `operator` changes too, `admin` may do all. */
export const role = z.enum(['viewer', 'operator', 'admin'])
export type Role = z.output<typeof role>

const time = z.number().describe('ms since 1970')
const tokenName = z.string().regex(/^[A-Za-z0-9][\w.@-]{0,63}$/, 'must be 1 to 64 letters, digits, ., _, @ and -')
/** Service names, in which `*` stands for any characters. */
const patterns = z
  .array(z.string().regex(/^[a-z0-9*-]{1,63}$/, 'must be the name of a service, in which * stands for any characters'))
  .min(1)
  .max(64)

const shown = z.strictObject({ name: tokenName, role, services: patterns, createdAt: time, expiresAt: time })
export type TokenShown = z.output<typeof shown>

/** The file in the node's folder: hashes, never tokens. */
export const tokenFile = z.strictObject({
  schema: z.literal(1),
  tokens: z.array(shown.extend({ sha256: z.string().regex(/^[0-9a-f]{64}$/) })).max(10_000),
})
export type TokenKept = z.output<typeof tokenFile>['tokens'][number]

/** What a validator answers to `POST /v1/token/validate`, ours too. Others may say more. */
export const validated = z.object({
  valid: z.boolean(),
  username: z.string().min(1).max(256).optional(),
  roles: z.array(z.string().max(256)).max(256).optional(),
  account_type: z.string().max(64).optional(),
})

const yearMs = 365 * 86_400_000

export const tokenApi = {
  'new-token': {
    privilege: 'administer',
    summary: 'make a token for a person or a program',
    input: z.strictObject({
      name: tokenName,
      role: role.default('viewer'),
      services: patterns.default(['*']),
      forMs: z
        .int()
        .min(1_000)
        .max(yearMs)
        .default(90 * 86_400_000),
    }),
    output: z.strictObject({ token: z.string(), ...shown.shape }),
  },
  'list-tokens': {
    privilege: 'administer',
    summary: 'the tokens that there are, without themselves',
    input: z.strictObject({}),
    output: z.array(shown).readonly(),
  },
  'revoke-token': {
    privilege: 'administer',
    summary: 'end a token at once, with the streams that it holds open',
    input: z.strictObject({ name: tokenName }),
    output: z.strictObject({ name: tokenName }),
  },
} as const satisfies Api
