// Credentials that are made here, in the browser, so that whoever keeps their hash never sees them.

/** Browsers hash only where nobody on the way can change the page: over https, or on this machine. */
export const canMakeSecrets: boolean = globalThis.isSecureContext

/** As `makeCredential` of the gate makes it: 256 random bits behind the mark by which it is known where it should not be. */
export function makeCredential(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32))
  const text = btoa(String.fromCharCode(...bytes))
  return `flc_${text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`
}

/** SHA-256, in lower-case hex. */
export async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
