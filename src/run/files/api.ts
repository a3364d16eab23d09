// Files in and out of the data folder of a service.
import { z } from 'zod'
import type { Api } from '../../base/control/api.ts'
import { name } from '../service/config.ts'

const path = z.string().min(1).max(4_096)
const sizeBytes = z
  .int()
  .min(0)
  .max(2 ** 48)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const mode = z.int().min(0).max(0o777)

export const filesApi = {
  'push-file': {
    privilege: 'change',
    summary: 'put a file into the folder of a service, whole or not at all',
    input: z.strictObject({ service: name, path, sizeBytes, sha256, mode: mode.default(0o640) }),
    upload: true,
    output: z.strictObject({ path: z.string(), sizeBytes, sha256, mode }),
  },
  'pull-file': {
    privilege: 'change', // what lies there may be secret
    summary: 'read a file from the folder of a service',
    input: z.strictObject({ service: name, path }),
    stream: z.union([
      z.strictObject({ sizeBytes, mode, uid: z.int(), gid: z.int() }),
      z.strictObject({ /** Base64. */ bytes: z.string() }),
    ]),
    output: z.strictObject({ sha256 }),
  },
} as const satisfies Api
