// What we ask a server by ourselves has an id that every server answers, and that no client uses beside it.
import { expect, test } from 'vitest'
import { type Leg, answered } from '../exchange.ts'
import { idToken, resultFrame } from '../message.ts'
import { ask } from './ask.ts'

test('a request of our own has a large whole number of 31 bits as its id, another one each time', async () => {
  const ids: string[] = []
  const leg = {
    async request(frame, _, out) {
      ids.push(idToken(frame))
      out.write(resultFrame(idToken(frame), {}))
      return answered
    },
  } as Pick<Leg, 'request'> as Leg
  for (let at = 0; at < 100; at++) await ask(leg, 'tools/list', {})
  expect(new Set(ids).size).toBe(100)
  for (const id of ids) expect([id, Number(id) >= 2 ** 30 && Number(id) < 2 ** 31]).toEqual([expect.stringMatching(/^\d+$/), true])
})
