// A privileged tool is asked of the helper by the server, with the call as it is; what stands in for it in a sandbox is the same in both.
import { expect, test } from 'vitest'
import { z } from 'zod'
import type { Tool } from '../../base/mcp/tool/tool.ts'
import { machineNeeds } from '../needs.fixture.ts'
import type { MachineNeeds } from '../needs.ts'
import { type HelperLink, noHelper } from './link.ts'
import { helperNeeds, memoryLink, plainCall } from './memory-link.fixture.ts'
import { isPrivileged, privilegedTool } from './privileged.ts'

const after: string[] = []
const stop = privilegedTool({
  name: 'fan_stop',
  title: 'Stop a fan',
  description: 'Stops it.',
  input: z.strictObject({ fan: z.string() }),
  output: z.object({ stopped: z.string(), by: z.string() }),
  annotations: {},
  role: 'operator',
  effect: 'change',
  privileged: {
    subjects: ({ fan }) => [{ list: 'pins', name: fan }],
    async perform({ version }, { fan }, { caller, afterReply }) {
      afterReply(() => after.push(fan))
      return { stopped: fan, by: `${caller.principal.name} ${version}` }
    },
  },
  simulate: ({ fan }) => ({ stopped: fan, by: 'nobody' }),
})
const needsOf = (helper: HelperLink): MachineNeeds => machineNeeds({ helper })

test('the server asks the helper', async () => {
  expect(isPrivileged(stop as Tool<MachineNeeds>)).toBe(true)
  const helper = memoryLink(helperNeeds({ version: '9.9.9' }))
  expect(await stop.handle(needsOf(helper), { fan: 'gpiochip0:4' }, plainCall())).toEqual({ stopped: 'gpiochip0:4', by: 'ann 9.9.9' })
  await expect.poll(() => after).toEqual(['gpiochip0:4'])
})

test('without a helper it is unavailable, and can still be simulated', async () => {
  const needs = needsOf(noHelper('none here'))
  await expect(stop.handle(needs, { fan: 'x' }, plainCall())).rejects.toMatchObject({ code: 'operate.helper_away', kind: 'unavailable' })
  expect(await needs.helper.health()).toEqual({ ok: false, reason: 'none here' })
  expect(stop.simulate!(needs, { fan: 'x' })).toEqual({ stopped: 'x', by: 'nobody' })
})
