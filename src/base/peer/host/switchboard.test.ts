// Who is asked for a stream, in which order, and how long it waits for those who served through the host before this one.
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createTestClock } from '../../../../test/kit/clock.ts'
import { silentLog as log } from '../../../kernel/log.ts'
import type { PeerStream } from './host.ts'
import { type Offer, createSwitchboard } from './switchboard.ts'

const protocol = '/fairlead/test/1'

function world(settleMs: number) {
  const clock = createTestClock()
  let accept: ((stream: PeerStream) => void) | undefined
  const host = {
    handle: (_: string, take: (stream: PeerStream) => void) => void (accept = take),
    unhandle: () => void (accept = undefined),
  }
  const board = createSwitchboard({ host, clock, log, settleMs })
  const taken: string[] = []
  /** Takes streams of the peers it knows, others only when it must. */
  const offer = (name: string, ...peers: string[]): Offer => ({
    async take({ remotePeer }, must) {
      if (!must && !peers.includes(remotePeer)) return false
      taken.push(`${name}${must ? ' must' : ''}: ${remotePeer}`)
      return true
    },
  })
  const come = async (remotePeer: string): Promise<void> => {
    accept!({ remotePeer, protocol, abort: () => taken.push(`nobody: ${remotePeer}`) } as unknown as PeerStream)
    await turn()
  }
  return { clock, board, taken, offer, come }
}

test('whoever wants the peer takes its stream, in the order of the offers; one whom nobody wants is refused by the first, at once', async () => {
  const { board, taken, offer, come } = world(0)
  const first = board.add(protocol, offer('first', 'a'))
  board.add(protocol, offer('second', 'a', 'b'))
  for (const peer of ['a', 'b', 'stranger']) await come(peer)
  expect(taken).toEqual(['first: a', 'second: b', 'first must: stranger'])
  first()
  await come('a')
  expect(taken.at(-1)).toBe('second: a')
})

test('after a host that ended, a stream that nobody wants yet waits for the one who served it; a stranger learns of its refusal when that time is over', async () => {
  const { clock, board, taken, offer, come } = world(5_000)
  board.add(protocol, offer('new host', 'a'))
  for (const peer of ['b', 'a', 'stranger']) await come(peer)
  expect(taken).toEqual(['new host: a'])
  board.add(protocol, offer('attached', 'b'))
  await turn()
  expect(taken).toEqual(['new host: a', 'attached: b'])
  await clock.advance(5_000)
  await turn()
  expect(taken).toEqual(['new host: a', 'attached: b', 'new host must: stranger'])
  await come('another')
  expect(taken.at(-1)).toBe('new host must: another')
})

test('so many wait and no more', async () => {
  const { board, taken, offer, come } = world(5_000)
  board.add(protocol, offer('new host'))
  for (let n = 0; n < 257; n++) await come('stranger')
  expect(taken).toEqual(['new host must: stranger'])
})
