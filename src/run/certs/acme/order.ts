// One order at an ACME server, from a name to its certificate (RFC 8555 §7.4): proved over HTTP by an answer of ours, and gone on with where it was cut off.
import type { Clock } from '../../../kernel/clock.ts'
import { type AcmeAccount, AcmeProblem } from './account.ts'

const firstPauseMs = 100
const mostPauseMs = 5_000

/** Answers on the name's port 80 with that proof until it is disposed of. */
export type ChallengeDoor = (token: string, proof: string) => Promise<AsyncDisposable>

type Needs = { readonly account: AcmeAccount; readonly clock: Pick<Clock, 'wait'>; readonly openDoor: ChallengeDoor }

/** The address of a new order. */
export async function placeOrder({ post, newOrder }: AcmeAccount, name: string, signal: AbortSignal): Promise<string> {
  const { location } = await post(newOrder, { identifiers: [{ type: 'dns', value: name }] }, signal)
  if (location === undefined) throw new AcmeProblem('no order', 'the new order has no address')
  return location
}

/** The chain of its certificate (PEM), whatever state it is in. `request`: what it is signed for. Throws `AcmeProblem`, also where the order is dead. */
export async function carryOut(needs: Needs, order: string, request: () => Promise<Buffer>, signal: AbortSignal): Promise<string> {
  const { account, clock } = needs
  const read = async (): Promise<Order> => (await account.post(order, undefined, signal)).json
  let now = await read()
  if (now.status === 'pending') {
    for (const place of now.authorizations ?? []) await prove(needs, place, signal)
    now = await settled(clock, read, ({ status }) => status !== 'pending', signal)
  }
  if (now.status === 'ready') {
    if (now.finalize === undefined) throw new AcmeProblem('no order', 'the order cannot be ended')
    await account.post(now.finalize, { csr: (await request()).toString('base64url') }, signal)
  }
  now = await settled(clock, read, ({ status }) => status === 'valid' || status === 'invalid', signal)
  if (now.status !== 'valid' || now.certificate === undefined) throw problemIn(now, 'the order was refused')
  return (await account.post(now.certificate, undefined, signal)).text
}

type Problem = { readonly type?: string; readonly detail?: string }
type Order = {
  readonly status?: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid'
  readonly authorizations?: readonly string[]
  readonly finalize?: string
  readonly certificate?: string
  readonly error?: Problem
}
type Challenge = { readonly type?: string; readonly url?: string; readonly token?: string; readonly error?: Problem }
type Authorization = { readonly status?: string; readonly challenges?: readonly Challenge[] }

/** RFC 8555 §8.3: base64url and nothing else, since it becomes part of a path. */
const tokenText = /^[\w-]{16,256}$/

async function prove({ account, clock, openDoor }: Needs, place: string, signal: AbortSignal): Promise<void> {
  const read = async (): Promise<Authorization> => (await account.post(place, undefined, signal)).json
  const { status, challenges = [] } = await read()
  if (status === 'valid') return
  const { url, token } = challenges.find(({ type }) => type === 'http-01') ?? {}
  if (url === undefined || token === undefined || !tokenText.test(token))
    throw new AcmeProblem('no http-01', 'the authority offers no proof over HTTP for this name')
  await using _ = await openDoor(token, account.proof(token))
  await account.post(url, {}, signal)
  const after = await settled(clock, read, (one) => one.status !== 'pending', signal)
  if (after.status === 'valid') return
  throw problemIn(after.challenges?.find(({ error }) => error) ?? {}, 'the proof was refused')
}

function problemIn({ error }: { readonly error?: Problem }, otherwise: string): AcmeProblem {
  return new AcmeProblem(error?.type ?? 'no reason given', error?.detail ?? otherwise)
}

/** Reads until it is so; the signal ends that. */
async function settled<State>(
  clock: Pick<Clock, 'wait'>,
  read: () => Promise<State>,
  is: (state: State) => boolean,
  signal: AbortSignal,
): Promise<State> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, mostPauseMs)) {
    const state = await read()
    if (is(state)) return state
    await clock.wait(pauseMs, signal)
  }
}
