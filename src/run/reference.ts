// How an image is called: name, tag, digest, as parts of one text.

export type Reference = {
  /** With its registry, if it names one; empty where only a digest is said. */
  readonly name: string
  readonly tag?: string | undefined
  /** `sha256:` and 64 hex digits */
  readonly digest?: string | undefined
}

const digestText = /^sha256:[0-9a-f]{64}$/

/** Splits `name:tag`, `name@sha256:…`, `name:tag@sha256:…` and `sha256:…`. A colon before a slash belongs to the registry's port. */
export function splitReference(reference: string): Reference {
  if (digestText.test(reference)) return { name: '', digest: reference }
  const at = reference.lastIndexOf('@')
  const digest = at < 0 ? undefined : reference.slice(at + 1)
  const named = at < 0 ? reference : reference.slice(0, at)
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  return colon < 0 ? { name: named, digest } : { name: named.slice(0, colon), tag: named.slice(colon + 1), digest }
}
