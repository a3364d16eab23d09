// What the claims of a checked token say: for whom it is, what it may, whose it is.
import type { JWTPayload } from 'jose'

/** Whom it is for (`aud`). */
export function audiencesOf({ aud }: JWTPayload): readonly string[] {
  return Array.isArray(aud) ? aud.filter((one) => typeof one === 'string') : typeof aud === 'string' ? [aud] : []
}

/** `scope` as RFC 9068 has it, `scp` as some issuers do. */
export function scopesOf({ scope, scp }: JWTPayload): ReadonlySet<string> {
  const all = [scope, scp].flatMap((one): unknown[] => (typeof one === 'string' ? one.split(' ') : Array.isArray(one) ? one : []))
  return new Set(all.filter((one) => typeof one === 'string'))
}

/** An address that the issuer has not verified is whatever its owner typed in. */
export function verifiedEmail({ email, email_verified: isVerified }: JWTPayload): string | undefined {
  return typeof email === 'string' && isVerified === true ? email : undefined
}

/** The texts of a claim, which may be a list of them; `custom.groups` is the claim `groups` within `custom`, unless there is one of that whole name. */
export function claimTexts(claims: JWTPayload, name: string): readonly string[] {
  let value: unknown = Object.hasOwn(claims, name) ? claims[name] : undefined
  if (value === undefined) {
    value = claims
    for (const part of name.split('.')) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return []
      value = (value as Record<string, unknown>)[part]
    }
  }
  return (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'string')
}
