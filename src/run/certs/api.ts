// The certificate that the agent shows to other machines.
import { z } from 'zod'
import type { Api } from '../../base/control/api.ts'

const time = z.number().describe('ms since 1970')
const facts = z.strictObject({
  source: z.string(),
  subject: z.string(),
  issuer: z.string(),
  names: z.array(z.string()).readonly(),
  from: time,
  until: time,
  sha256: z.string(),
})

const asked = z.strictObject({ route: z.string().max(253).optional().describe("the host name of a route; else the agent's own") })

export const certificateApi = {
  'show-certificate': {
    privilege: 'observe',
    summary: 'whose the certificate is, and how long it lasts',
    input: asked,
    output: facts,
  },
  'renew-certificate': {
    privilege: 'administer',
    summary: 'get a new certificate now; connections go on',
    input: asked,
    output: facts,
  },
} as const satisfies Api
