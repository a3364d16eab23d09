// A stream to a host: one that says nothing while somebody waits is given up, one that is only slow is not.
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { createTestClock } from '../../../test/kit/clock.ts'
import { aloneGroup } from '../entry/group.ts'
import { type Link, openLink } from './link.ts'
import { type Message, encode } from './messages.ts'
import { admit } from './proof.ts'

/** A host of which nothing is heard but what the test says, and its member. */
async function linked() {
  const clock = createTestClock()
  const group = aloneGroup(new Uint8Array(32).fill(1))
  const [ours, theirs] = duplexPair()
  const heard: Message[] = []
  const said: Message[] = []
  let ends = 0
  const listen = async (): Promise<void> => {
    const { messages } = await admit(clock, theirs, group, { host: 'h', member: 'm' })
    for await (const { message } of messages) heard.push(message)
  }
  const admitted = listen().catch(() => {}) // it may be cut off
  const needs = {
    clock,
    group,
    dial: async () => ours,
    kept: () => undefined,
    onMessage: ({ message }: { message: Message }) => void said.push(message),
    onEnd: () => void ends++,
  }
  const link: Link = await openLink(needs, { way: { peer: 'h', address: '' }, own: 'm' }, new AbortController().signal)
  return { clock, link, heard, said, theirs, admitted, ends: () => ends, say: (message: Message) => theirs.write(encode(message)) }
}

test('a host that answers pings may take its time; one that is silent is lost, and who waits is told', async () => {
  const { clock, link, heard, say, ends } = await linked()
  const got = link.want('k')
  for (let round = 1; round <= 10; round++) {
    await clock.advance(2_000)
    await expect.poll(() => heard.filter(({ is }) => is === 'ping')).toHaveLength(round)
    say({ is: 'pong' })
    await expect.poll(() => ends()).toBe(0)
  }
  await clock.advance(12_000)
  expect(await got).toBeUndefined()
  expect(await link.ended).toBe('the host says nothing any more')
  expect(ends()).toBe(1)
  expect(await link.want('k')).toBeUndefined()
  expect(clock.waiting).toBe(0)
})

test('who got tired of waiting gives back the lease that comes too late', async () => {
  const { clock, link, heard, said, say } = await linked()
  const got = link.want('k')
  for (let round = 1; round <= 38; round++) {
    await clock.advance(2_000)
    await expect.poll(() => heard.filter(({ is }) => is === 'ping'), { interval: 1 }).toHaveLength(round)
    say({ is: 'pong' })
    await expect.poll(() => said, { interval: 1 }).toHaveLength(round)
  }
  expect(await got).toEqual({ is: 'alone' })
  say({ is: 'offer', id: 1, offer: 'lease' })
  await expect.poll(() => heard.at(-1)).toEqual({ is: 'done', key: 'k', subject: '', outcome: 'failed' })
})

test('when nobody waits nothing is said', async () => {
  const { clock, link, heard, say } = await linked()
  const got = link.want('k')
  await expect.poll(() => heard).toEqual([{ is: 'want', id: 1, key: 'k' }])
  say({ is: 'offer', id: 1, offer: 'lease' })
  expect(await got).toEqual({ is: 'lease' })
  await clock.advance(60_000)
  link.tell({ is: 'done', key: 'k', subject: 's', outcome: 'failed' })
  await expect.poll(() => heard).toHaveLength(2)
})

test('what was told is heard before the end', async () => {
  const { link, heard, admitted } = await linked()
  link.tell({ is: 'counts', counts: { misses: 1 } })
  const closed = link.close()
  await admitted
  expect(heard).toEqual([{ is: 'counts', counts: { misses: 1 } }])
  await closed
})
