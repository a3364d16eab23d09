// Membership, proved both ways at the beginning of a stream: who does not know the secret learns nothing, and is told.
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { type Clock, deadline } from '../../kernel/clock.ts'
import { randomId } from '../../kernel/random.ts'
import type { Group } from '../entry/group.ts'
import { type Message, type Received, encode, messagesIn } from './messages.ts'

/** The ids are those that the stream proved: a proof is good for these two ends alone. */
export type Ends = { readonly host: string; readonly member: string }
export type Joined = { readonly messages: AsyncGenerator<Received> }

/** Says that the other side has another secret, or is no host of ours. */
export class NoMember extends Error {}

/** Says that the other side has a host itself. */
export class Busy extends Error {}

const patienceMs = 10_000

function proofOf({ memberKey }: Group, role: 'host' | 'member', { host, member }: Ends, nonces: readonly string[]): string {
  return createHmac('sha256', memberKey)
    .update(JSON.stringify([role, host, member, ...nonces]))
    .digest('base64url')
}

function isProof(given: string, wanted: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(wanted)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/** The host's side: asks first, proves last. */
export async function admit(clock: Clock, stream: Duplex, group: Group, ends: Ends): Promise<Joined> {
  return within(clock, stream, async (messages) => {
    const nonce = randomId()
    stream.write(encode({ is: 'hello', nonce }))
    const said = await nextOf(messages)
    const nonces = said.is === 'proof' ? [nonce, said.nonce] : []
    if (said.is !== 'proof' || !isProof(said.proof, proofOf(group, 'member', ends, nonces))) {
      stream.end(encode({ is: 'refused', why: 'another secret' }))
      throw new NoMember('it has another secret')
    }
    stream.write(encode({ is: 'proof', nonce, proof: proofOf(group, 'host', ends, nonces) }))
  })
}

/** The member's side. */
export async function join(clock: Clock, stream: Duplex, group: Group, ends: Ends): Promise<Joined> {
  return within(clock, stream, async (messages) => {
    const hello = await nextOf(messages)
    if (hello.is === 'busy') throw new Busy('it has a host itself')
    if (hello.is !== 'hello') throw new NoMember('it is no host of a cache')
    const nonces = [hello.nonce, randomId()]
    stream.write(encode({ is: 'proof', nonce: nonces[1]!, proof: proofOf(group, 'member', ends, nonces) }))
    const said = await nextOf(messages)
    if (said.is !== 'proof' || !isProof(said.proof, proofOf(group, 'host', ends, nonces))) throw new NoMember('it has another secret')
  })
}

async function within(clock: Clock, stream: Duplex, greet: (messages: AsyncGenerator<Received>) => Promise<void>): Promise<Joined> {
  const late = deadline(clock, patienceMs)
  const cut = (): void => void stream.destroy(new Error(`nothing was said for ${patienceMs / 1_000} s`))
  late.addEventListener('abort', cut)
  try {
    const messages = messagesIn(stream)
    await greet(messages)
    return { messages }
  } finally {
    late.removeEventListener('abort', cut)
  }
}

async function nextOf(messages: AsyncGenerator<Received>): Promise<Message> {
  const { value, done } = await messages.next()
  if (done) throw new Error('the stream ended before it began')
  return value.message
}
