// What a gateway must withstand: the attacks that we were given by number, and advisories on other gateways and SDKs. `attacks.test.ts` holds a test to each.

export type Attack = {
  readonly what: string
  /** Why there is no test yet: fails as soon as there is one, so that this line goes. */
  readonly awaited?: string
  /** A part of it that is not held. */
  readonly lacks?: string
}

/** By number. A test says which it is for at the start of its name, or of its group's: `attack 7: …`, `attacks 9, 27: …`. */
export const attacks: Readonly<Record<number, Attack>> = {
  1: { what: 'a foreign Origin or Host, on ports of data and of administration' },
  2: { what: 'Origin: null' },
  3: { what: 'bodies that are oversized, chunked, deep, of many keys, of doubled keys, in the wrong case, batches' },
  4: { what: 'slow-loris, readers that do not read, ten thousand idle streams' },
  5: { what: 'headers that say another thing than the body, in Base64 and with line ends too' },
  6: { what: 'a legacy version, or none, to get round what headers are held to' },
  7: { what: 'the thirteen cases of a token' },
  8: { what: 'a bad token that becomes anonymous, on any path, by any method' },
  9: { what: "a client's credentials, cookies and session ids at a server; a server's at a client or in a log" },
  10: { what: "another's session, event, task, cursor, state, subscription" },
  11: { what: 'a requestState that was changed, is over, or was used' },
  12: { what: 'the same ids and progress tokens at once, ten thousand calls' },
  13: { what: 'a credential that is revoked while streams are open' },
  14: { what: 'a challenge that asks for more scopes' },
  15: { what: 'URLs that lead inside: numbers in other bases, mapped addresses, metadata, redirects, names that lead elsewhere' },
  16: { what: 'redirects that carry headers and bodies away' },
  17: { what: 'an authorization server that is switched' },
  18: { what: 'links to javascript: or file:, a shell that opens them' },
  19: { what: 'commands from anyone but the administrator, shells, variables that leak' },
  20: {
    what: 'children that will not end, die at once, print nonsense or lines without end, fork',
    lacks:
      'how many processes a server may have at once is bounded by TasksMax= of deployment/systemd/fairlead-gate.service, not by the gate itself, which ends them',
  },
  21: { what: "one tenant's child for another" },
  22: {
    what: 'a server of another version or with other bytes than pinned',
    lacks: 'the files that are named are held to their digests, not all that a package brings',
  },
  23: { what: 'a tool whose definition changes after it was approved' },
  24: {
    what: 'doubled, shadowed and look-alike names, hidden characters, long descriptions',
  },
  25: { what: 'a denied tool that is listed, or reached another way' },
  26: { what: 'schemas and patterns that take for ever, or are fetched' },
  27: { what: 'secrets in results and logs' },
  28: { what: 'a private list that another is given' },
  29: { what: 'a decision without a record, or a record that is lost' },
  30: { what: 'what decides, or records, is gone' },
  31: { what: 'a call that is lost when the gate is reloaded or stopped' },
  32: { what: 'an administration without a credential of its own' },
}

/** By id. A test names it anywhere in its name. */
export const advisories: Readonly<Record<string, Attack>> = {
  'CVE-2025-49596': { what: 'a local proxy that starts commands for any web page' },
  'CVE-2025-6514': { what: 'an authorization address that is opened by a shell' },
  'CVE-2025-66414': { what: 'DNS rebinding' },
  'CVE-2026-34742': { what: 'DNS rebinding' },
  'CVE-2026-42559': { what: 'DNS rebinding' },
  'CVE-2026-0621': { what: 'a pattern that goes back and forth' },
  'CVE-2026-25536': { what: "another client's answer" },
  'CVE-2026-111770': { what: "another client's answer" },
  'CVE-2026-104850': { what: 'a server that picks who gets our secrets' },
  'GHSA-f897-62hf-6gxq': { what: 'bodies and batches without a bound' },
  'CVE-2026-111768': { what: 'memory by the number of elements' },
  'GHSA-rvq5-wwqv-78pq': { what: 'a token for another audience' },
  'CVE-2026-111769': { what: 'redirects that carry headers and bodies away' },
  'CVE-2026-111767': { what: "another session's tasks" },
  'CVE-2026-52869': { what: "another principal's session" },
  'CVE-2026-59951': { what: 'sessions that never end' },
  'CVE-2026-67430': { what: 'sessions that never end' },
  'CVE-2026-59822': { what: 'a bad credential that becomes anonymous' },
  'CVE-2026-79748': { what: 'a command that anyone registers' },
  'CVE-2026-79747': { what: 'an address that anyone registers' },
  'CVE-2026-30623': { what: 'a command run as a test of the connection' },
  'CVE-2026-27896': { what: 'keys in another case' },
  'Inspector 2.14.0': { what: 'links that are no http, patterns of a server' },
}
