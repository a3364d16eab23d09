// Keys that stay in ssh-agent: asks it which it holds, and for signatures by one of them (draft-ietf-sshm-ssh-agent; key and signature as in RFC 8709).
import { hash } from 'node:crypto'
import { connect } from 'node:net'
import type { Clock } from '../../kernel/clock.ts'
import { faults, reasonOf } from '../../kernel/fault.ts'
import { type Identity, peerIdOf, verify } from './identity.ts'

/** What keys are called, for a fault. */
const namesOf = (keys: readonly AgentKey[]): readonly string[] =>
  keys.slice(0, 20).map(({ publicKey, comment }) => `${fingerprintOf(publicKey)} ${comment.slice(0, 80)}`)

export const fault = faults('ssh_agent', {
  not_set: () => ({
    kind: 'unavailable',
    message: 'there is no ssh-agent: SSH_AUTH_SOCK is not set',
    hint: 'start one and add the key: eval "$(ssh-agent)"; ssh-add FILE',
  }),
  silent: (d: { path: string; problem: string }) => ({
    kind: 'unavailable',
    message: `ssh-agent does not answer at ${d.path}: ${d.problem}`,
    hint: 'is it running? try: ssh-add -l',
  }),
  garbled: (d: { path: string; problem: string }) => ({
    kind: 'unavailable',
    message: `what answers at ${d.path} is no ssh-agent: ${d.problem}`,
    hint: 'look at SSH_AUTH_SOCK; try: ssh-add -l',
  }),
  no_key: (d: { fingerprint: string; keys: readonly string[] }) => ({
    kind: 'unauthenticated',
    message: `ssh-agent does not hold the key ${d.fingerprint} of this identity; its Ed25519 keys: ${d.keys.join(', ') || 'none'}`,
    hint: 'add it: ssh-add FILE',
  }),
  refused: (d: { fingerprint: string }) => ({
    kind: 'denied',
    message: `ssh-agent did not sign with the key ${d.fingerprint}`,
    hint: 'is it still there ("ssh-add -l")? is the agent locked, or was a confirmation declined?',
  }),
  bad_signature: (d: { fingerprint: string }) => ({
    kind: 'unauthenticated',
    message: `what ssh-agent gave as a signature of ${d.fingerprint} is none`,
    hint: 'is another program behind SSH_AUTH_SOCK?',
  }),
  choose: (d: { wanted: string; keys: readonly string[] }) => ({
    kind: 'usage',
    message: `${d.wanted === '' ? 'ssh-agent must hold exactly one Ed25519 key' : `"${d.wanted}" means no single Ed25519 key`}; it holds: ${d.keys.join(', ') || 'none'}`,
    hint: 'name one by its fingerprint or comment: --ssh-agent KEY; a new one: ssh-keygen -t ed25519 -C fairlead, then ssh-add FILE',
  }),
  key_stays: (d: { peerId: string }) => ({
    kind: 'conflict',
    message: `the key of ${d.peerId} is in ssh-agent and cannot leave it, but this needs the key itself`,
    hint: 'only an identity whose key is in its wallet file can do this',
  }),
})

/** An Ed25519 key that the agent holds. */
export type AgentKey = {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** What its owner calls it; may be anything. */
  readonly comment: string
}

/** Faults of each: `ssh_agent.not_set`, `.silent`, `.garbled`. */
export interface SshAgent {
  /** Its Ed25519 keys; others are left out. */
  keys(): Promise<readonly AgentKey[]>
  /** A signature that was checked. It may take as long as a person takes to confirm it. Faults besides: `ssh_agent.refused`, `.bad_signature`. */
  sign(publicKey: Uint8Array, bytes: Uint8Array): Promise<Uint8Array>
}

/** OpenSSH's own limit of a message. */
const maxMessageBytes = 256 << 10
const listMs = 5_000
const signMs = 30_000
const failure = 5
const requestIdentities = 11
const identitiesAnswer = 12
const signRequest = 13
const signResponse = 14

/** The agent at the socket `path`, as SSH_AUTH_SOCK names it. Nothing is asked before it is needed; each question is a connection of its own. */
export function sshAgent(clock: Pick<Clock, 'after'>, path: string | undefined): SshAgent {
  const ask = async <Answer>(request: Uint8Array, timeoutMs: number, read: (answer: Buffer) => Answer): Promise<Answer> => {
    if (!path) throw fault.not_set({})
    const answer = await exchange(clock, path, request, timeoutMs)
    try {
      return read(answer)
    } catch (error) {
      throw error instanceof RangeError ? fault.garbled({ path, problem: error.message }, error) : error
    }
  }
  return {
    keys: () => ask(Buffer.of(requestIdentities), listMs, readKeys),
    async sign(publicKey, bytes) {
      const request = Buffer.concat([Buffer.of(signRequest), text(keyBlob(publicKey)), text(bytes), Buffer.alloc(4)])
      const signature = await ask(request, signMs, readSignature)
      const fingerprint = fingerprintOf(publicKey)
      if (!signature) throw fault.refused({ fingerprint })
      if (!verify(publicKey, bytes, signature)) throw fault.bad_signature({ fingerprint })
      return signature
    },
  }
}

/** Of the keys that the agent holds the one with this comment or fingerprint (`SHA256:…`), the only one when nothing is named. Fault `ssh_agent.choose`. */
export async function chooseKey(agent: SshAgent, wanted: string): Promise<AgentKey> {
  const keys = await agent.keys()
  const found = keys.filter(({ publicKey, comment }) => wanted === '' || comment === wanted || fingerprintOf(publicKey) === wanted)
  if (found.length !== 1) throw fault.choose({ wanted, keys: namesOf(keys) })
  return found[0]!
}

/** The identity whose key the agent holds; fault `ssh_agent.no_key` when it does not. */
export async function agentIdentity(agent: SshAgent, publicKey: Uint8Array): Promise<Identity> {
  const keys = await agent.keys()
  if (!keys.some((key) => Buffer.compare(key.publicKey, publicKey) === 0))
    throw fault.no_key({ fingerprint: fingerprintOf(publicKey), keys: namesOf(keys) })
  const peerId = peerIdOf(publicKey)
  const identity = {
    peerId,
    publicKey,
    get privateKeyRaw(): Uint8Array {
      throw fault.key_stays({ peerId })
    },
    sign: (bytes: Uint8Array) => agent.sign(publicKey, bytes),
    toJSON: () => peerId,
  }
  return identity
}

/** As `ssh-add -l` shows it. */
export function fingerprintOf(publicKey: Uint8Array): string {
  return `SHA256:${hash('sha256', keyBlob(publicKey), 'base64').replace(/=+$/, '')}`
}

const algorithm = Buffer.from('ssh-ed25519')

/** RFC 8709 §4. */
function keyBlob(publicKey: Uint8Array): Buffer {
  return Buffer.concat([text(algorithm), text(publicKey)])
}

/** A string of RFC 4251 §5. */
function text(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(bytes.length)
  return Buffer.concat([head, bytes])
}

/** Reads one string of RFC 4251 after another; RangeError beyond the end. */
function* strings(bytes: Buffer, start: number): Generator<Buffer, never> {
  for (let at = start; ;) {
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) throw new RangeError('a part is longer than the answer')
    yield bytes.subarray(at + 4, end)
    at = end
  }
}

/** The Ed25519 keys of an answer, whose length is left out; RangeError for anything else. */
export function readKeys(answer: Buffer): AgentKey[] {
  if (answer[0] !== identitiesAnswer) throw new RangeError(`it answered with ${answer[0]}`)
  const count = answer.readUInt32BE(1)
  const parts = strings(answer, 5)
  const keys: AgentKey[] = []
  for (let i = 0; i < count; i++) {
    const [blob, comment] = [parts.next().value, parts.next().value]
    const publicKey = Uint8Array.from(blob.subarray(-32))
    if (keyBlob(publicKey).equals(blob)) keys.push({ publicKey, comment: comment.toString('utf8') })
  }
  return keys
}

/** The signature of an answer, or undefined when the agent refuses; RangeError for anything else. */
export function readSignature(answer: Buffer): Uint8Array | undefined {
  if (answer[0] === failure) return undefined
  if (answer[0] !== signResponse) throw new RangeError(`it answered with ${answer[0]}`)
  const parts = strings(strings(answer, 1).next().value, 0)
  const [name, signature] = [parts.next().value, parts.next().value]
  if (!name.equals(algorithm) || signature.length !== 64) throw new RangeError('its signature is not of Ed25519')
  return Uint8Array.from(signature)
}

/** Sends one message and resolves with the answer's content. */
function exchange(clock: Pick<Clock, 'after'>, path: string, request: Uint8Array, timeoutMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0)
    const socket = connect({ path })
    const done = (settle: () => void): void => {
      cancel()
      socket.destroy()
      settle()
    }
    const fail = (problem: string, error?: unknown): void => done(() => reject(fault.silent({ path, problem }, error)))
    const cancel = clock.after(timeoutMs, () => fail(`nothing within ${timeoutMs / 1_000} s`))
    socket.on('error', (error) => fail(reasonOf(error), error))
    socket.on('close', () => fail('it ended the connection'))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const sizeBytes = received.length < 4 ? 0 : received.readUInt32BE(0)
      if (sizeBytes > maxMessageBytes) done(() => reject(fault.garbled({ path, problem: `it announces ${sizeBytes} bytes` })))
      else if (received.length >= 4 + sizeBytes && received.length >= 4) done(() => resolve(received.subarray(4, 4 + sizeBytes)))
    })
    socket.write(text(request))
  })
}
