// What a value that others have comes to when it is invalidated while it is on its way.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { later } from '../../test/kit/cleanup.ts'
import { createTestClock } from '../../test/kit/clock.ts'
import { createIdentity } from '../base/identity/identity.ts'
import { removeFolder } from '../kernel/file.ts'
import { silentLog as log } from '../kernel/log.ts'
import type { Cluster, Got } from './cluster/cluster.ts'
import { aloneGroup } from './entry/group.ts'
import { openShelf } from './shelf.ts'
import { type Values, createValues } from './values.ts'

const group = aloneGroup(new Uint8Array(32).fill(1))

/** `want`: what the others say. */
async function valuesWith(want: Cluster['want']) {
  const folder = await mkdtemp(join(tmpdir(), 'values-'))
  later(() => removeFolder(folder))
  const clock = createTestClock()
  const shelf = openShelf({ clock, log }, { folder, maxBytes: 1 << 20 })
  later(() => shelf.close())
  const cluster: Cluster = { want, done() {}, forget() {}, hold() {}, listen() {}, connected: [] }
  const values: Values = createValues({ clock, log, shelf, group, identity: createIdentity(), cluster })
  return { shelf, values }
}

test('what was invalidated while it was on its way is not brought back', async () => {
  let key = ''
  const theirs = await valuesWith(async (wanted) => ((key = wanted), { is: 'lease' }))
  await theirs.values.put('name', 'old', 60_000)
  const [first, second] = [Promise.withResolvers<Got>(), Promise.withResolvers<Got>()]
  const coming = [first, second]
  const ours = await valuesWith(() => coming.shift()!.promise)
  const got = ours.values.get('name')
  ours.values.invalidate('name')
  const sealed = theirs.shelf.get(key)!
  first.resolve({ is: 'entry', sealed })
  expect(await got).toBeUndefined()
  expect(ours.shelf.get(key)).toBeUndefined()
  second.resolve({ is: 'entry', sealed })
  expect(await ours.values.get('name')).toBe('old')
})
