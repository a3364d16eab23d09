// Slots as they are taken and given back.
import { expect, test } from 'vitest'
import { slots } from './slots.ts'

test('so many in all, of one peer and of one IP address; each is given back once', () => {
  const take = slots({ most: 6, perPeer: 2 })
  const of = (remotePeer: string, remoteAddress = '192.0.2.1') => take({ remotePeer, remoteAddress })
  const first = of('a')!
  expect([of('a'), of('b')].map(Boolean)).toEqual([true, true])
  expect([of('a', '192.0.2.2'), of('c')]).toEqual([undefined, undefined]) // two of the peer; three, half of six, of the address
  expect([of('c', '192.0.2.2'), of('d', '192.0.2.2'), of('e', '192.0.2.3')].map(Boolean)).toEqual([true, true, true])
  expect(of('f', '192.0.2.4')).toBeUndefined() // six in all
  first()
  first()
  expect([of('f', '192.0.2.4'), of('g', '192.0.2.4')].map(Boolean)).toEqual([true, false])
})
