// A rotation that is killed at any moment, by a real SIGKILL, leaves the old identity whole or the new one, and goes on when it is called again.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { atEveryPoint, runKilled } from '../../../test/kit/kill-points.ts'
import { startAgent } from '../../../test/kit/ssh-agent.ts'
import { chooseKey, agentIdentity, sshAgent } from '../../base/identity/ssh-agent.ts'
import { createWallet, loadWallet, readWalletCard } from '../../base/identity/wallet.ts'
import { systemClock as clock } from '../../kernel/clock.ts'
import { silentLog as log } from '../../kernel/log.ts'
import { Secret } from '../../kernel/secret.ts'
import { addToHistory, pastEntries, signHistory, verifyHistory } from '../history.ts'
import { type Home, homeIn } from '../home.ts'
import { type RotationRegistry, oldWalletPath, rotate, rotationIsUnfinished } from './rotation.ts'
import { succession } from './teller.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})
async function newHome(passphrase?: string): Promise<{ home: Home; old: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'fairlead-rotation-'))
  folders.push(folder)
  const home = homeIn(folder)
  const secret = passphrase === undefined ? {} : { passphrase: new Secret(passphrase) }
  const { identity } = await createWallet(home.wallet, { name: 'Box', ...secret })
  return { home, old: identity.peerId }
}
const fixture = join(import.meta.dirname, 'rotation.fixture.ts')

/** All that a rotation leaves, once it is over. */
async function expectRotated(home: Home, old: string): Promise<void> {
  const { identity, name } = await loadWallet(home.wallet)
  const kept = await loadWallet(oldWalletPath(home, old))
  expect([identity.peerId === old, name, kept.identity.peerId]).toEqual([false, 'Box', old])
  for (const path of [home.wallet, oldWalletPath(home, old)]) expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(succession(home.succession, identity.peerId)).toMatchObject([{ peerId: old, next: identity.peerId }])
  expect(pastEntries(home, 9).map(({ event, peer }) => [event, peer])).toEqual([['rotated', identity.peerId]])
  expect(readFileSync(join(home.folder, 'published'), 'utf8')).toBe(`${identity.peerId}\n`)
  const handed = new Set(readFileSync(join(home.folder, 'handed-over'), 'utf8').trim().split('\n'))
  expect([...handed]).toEqual([`${old} ${identity.peerId}`]) // more than once does no harm
}

test(
  'R11: killed at every moment, one identity is whole; called again, it is the new one, with each effect once',
  { timeout: 180_000 },
  async () => {
    const points = await atEveryPoint(async (at) => {
      const { home, old } = await newHome()
      const wasKilled = (await runKilled([fixture, home.folder, String(at)])) === null
      if (wasKilled) {
        const { identity } = await loadWallet(home.wallet) // one of the two, and usable
        const isNew = identity.peerId !== old
        if (isNew) expect(succession(home.succession, identity.peerId)).toMatchObject([{ peerId: old }])
        const isOver = !rotationIsUnfinished(home) // the very last moment: nothing is left to go on with
        if (!isOver) expect([at, await runKilled([fixture, home.folder, '-1'])]).toEqual([at, 0])
      }
      await expectRotated(home, old)
      return { wasKilled }
    })
    expect(points).toBe(7 * 3 + 1)
  },
)

test(
  'R11: when it cannot be done it is undone, killed on the way or not, and leaves the old identity alone',
  { timeout: 180_000 },
  async () => {
    await atEveryPoint(async (at) => {
      const { home, old } = await newHome()
      const before = readFileSync(home.wallet, 'utf8')
      const wasKilled = (await runKilled([fixture, home.folder, String(at), 'fail'])) === null
      if (wasKilled && rotationIsUnfinished(home)) expect([at, await runKilled([fixture, home.folder, '-1', 'fail'])]).toEqual([at, 1])
      expect(readFileSync(home.wallet, 'utf8')).toBe(before)
      expect(rotationIsUnfinished(home)).toBe(false)
      for (const path of [home.nextWallet, oldWalletPath(home, old)]) expect(() => statSync(path)).toThrow(/ENOENT/)
      expect(pastEntries(home, 9)).toEqual([])
      return { wasKilled }
    })
  },
)

const nowhere: RotationRegistry = {
  knows: () => Promise.reject(new Error('nobody answers')),
  publish: () => Promise.reject(new Error('nobody answers')),
  handOver: () => Promise.reject(new Error('nobody answers')),
}

test('a registry that does not answer leaves the new identity in place; the next call only makes it known', async () => {
  const { home, old } = await newHome()
  const needs = { home, keys: {}, clock, log }
  await expect(rotate({ ...needs, registry: nowhere })).rejects.toMatchObject({ code: 'steps.stuck' })
  const { identity } = await loadWallet(home.wallet)
  expect(identity.peerId).not.toBe(old)
  const published: string[] = []
  const registry: RotationRegistry = {
    knows: async () => published.length > 0,
    publish: async (next, own) => void published.push(next.identity.peerId, ...own.map(({ peerId }) => peerId)),
    handOver: () => Promise.reject(new Error('no mailboxes here')), // holds nothing up
  }
  expect(await rotate({ ...needs, registry })).toMatchObject({ isResumed: true, input: { old } })
  expect(published).toEqual([identity.peerId, old])
})

test('twice: both earlier ids lead to the last one', async () => {
  const { home, old } = await newHome()
  const needs = { home, keys: {}, registry: undefined, clock, log }
  await rotate(needs)
  const { identity: middle } = await loadWallet(home.wallet)
  await rotate(needs)
  const { identity } = await loadWallet(home.wallet)
  expect(succession(home.succession, identity.peerId).map(({ peerId }) => peerId)).toEqual([old, middle.peerId])
})

test('a sealed wallet stays sealed, by the same passphrase; without it nothing happens', { timeout: 120_000 }, async () => {
  const { home, old } = await newHome('open sesame')
  const needs = { home, registry: undefined, clock, log }
  await expect(rotate({ ...needs, keys: {} })).rejects.toMatchObject({ code: 'steps.undone' })
  expect(rotationIsUnfinished(home)).toBe(false)
  await rotate({ ...needs, keys: { passphrase: new Secret('open sesame') } })
  await expect(loadWallet(home.wallet)).rejects.toMatchObject({ code: 'wallet.locked' })
  const { identity } = await loadWallet(home.wallet, { passphrase: new Secret('open sesame') })
  expect(identity.peerId).not.toBe(old)
})

test('a key in ssh-agent is rotated to another one there, which must be named; and a key in the wallet may go there', async () => {
  const { home } = await newHome()
  rmSync(home.wallet)
  const running = await startAgent(home.folder)
  try {
    for (const comment of ['first', 'second', 'third']) running.add(comment)
    const agent = sshAgent(clock, running.socket)
    const identityOf = async (comment: string) => agentIdentity(agent, (await chooseKey(agent, comment)).publicKey)
    const [first, second, third] = [await identityOf('first'), await identityOf('second'), await identityOf('third')]
    await createWallet(home.wallet, { name: 'Box', identity: first, isInAgent: true })
    const needs = { home, keys: { agent }, registry: undefined, clock, log }
    for (const inAgent of [undefined, first.peerId])
      await expect(rotate({ ...needs, inAgent })).rejects.toMatchObject({ code: 'reach.rotation_in_agent' })
    expect(rotationIsUnfinished(home)).toBe(false)
    await rotate({ ...needs, inAgent: second.peerId })
    expect(readWalletCard(home.wallet)).toMatchObject({ peerId: second.peerId, isInAgent: true })
    expect(succession(home.succession, second.peerId)).toMatchObject([{ peerId: first.peerId, next: second.peerId }])
    expect((await loadWallet(oldWalletPath(home, first.peerId), { agent })).identity.peerId).toBe(first.peerId)
    const plain = await newHome()
    await rotate({ ...needs, home: plain.home, inAgent: third.peerId })
    expect(readWalletCard(plain.home.wallet)).toMatchObject({ peerId: third.peerId, isInAgent: true })
  } finally {
    await running.stop()
  }
})

test('a wallet that was replaced while a rotation stood still is not touched: the rotation ends, and the next one begins with it', async () => {
  const { home, old } = await newHome()
  expect(await runKilled([fixture, home.folder, '9'])).toBe(null)
  expect((await loadWallet(home.wallet)).identity.peerId).toBe(old)
  rmSync(home.wallet)
  const { identity } = await createWallet(home.wallet, { name: 'Fresh' })
  const text = readFileSync(home.wallet, 'utf8')
  const needs = { home, keys: {}, registry: undefined, clock, log }
  await expect(rotate(needs)).rejects.toMatchObject({ code: 'steps.undone' })
  expect(readFileSync(home.wallet, 'utf8')).toBe(text)
  expect((await rotate(needs)).input.old).toBe(identity.peerId)
})

test('the new key signs the history that the old one signed, and does not cover up what was altered since', async () => {
  const { home, old } = await newHome()
  const { identity } = await loadWallet(home.wallet)
  const needs = { home, keys: {}, registry: undefined, clock, log }
  for (const id of ['a', 'b']) await addToHistory({ clock, log }, home, { event: 'sent', peer: old, id, message: 'digest' })
  await signHistory({ clock, log, identity }, home)
  await rotate(needs)
  const owner = (await loadWallet(home.wallet)).identity.peerId
  expect(await verifyHistory(home, { owner })).toMatchObject({ intact: true, checkpoint: 3 })
  writeFileSync(home.history, `${readFileSync(home.history, 'utf8').split('\n')[0]}\n`) // the rest is cut off
  await rotate(needs)
  const last = (await loadWallet(home.wallet)).identity.peerId
  expect(await verifyHistory(home, { owner: last })).toMatchObject({ intact: false }) // it stands by what was signed before
})

test('a history that cannot be written does not hold it up', async () => {
  const { home, old } = await newHome()
  writeFileSync(home.history, 'nonsense\n')
  await rotate({ home, keys: {}, registry: undefined, clock, log })
  expect((await loadWallet(home.wallet)).identity.peerId).not.toBe(old)
})
