// Copies of the data of services, the way back from one, and starting at once all that should run.
import { z } from 'zod'
import type { Api } from '../../base/control/api.ts'
import { maxTreeItems } from '../../base/transfer/tree.ts'
import { name } from '../service/config.ts'

const time = z.number().describe('ms since 1970')
const path = z.string().min(1).max(4_096)
const facts = { path, mode: z.int().min(0).max(0o777), uid: z.int().min(0), gid: z.int().min(0), modifiedAt: time }
const remark = z.strictObject({ path: z.string(), remark: z.string() })

/** `manifest.json` of a backup: what is in it. */
export const manifestFile = z.strictObject({
  schema: z.literal(1),
  service: name,
  node: z.string(),
  at: time,
  /** Whose numbers the owners of its items are: those of the machine, or those that they have inside containers. */
  owners: z.enum(['machine', 'inside']).default('machine'),
  items: z
    .array(
      z.discriminatedUnion('is', [
        z.strictObject({ is: z.literal('file'), ...facts, sizeBytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
        z.strictObject({ is: z.literal('folder'), ...facts }),
        z.strictObject({ is: z.literal('link'), ...facts, target: path }),
      ]),
    )
    .max(maxTreeItems)
    .readonly(),
  databases: z.array(z.string()).readonly(),
  remarks: z.array(remark).readonly(),
})
export type Manifest = z.output<typeof manifestFile>

/** The name of a backup: when it was made (UTC). */
export const backupName = z.string().regex(/^\d{8}T\d{6}Z(?:-\d{1,4})?$/, 'must be such as 20261130T031500Z')

const backup = z.strictObject({
  name: backupName,
  path: z.string(),
  at: time,
  files: z.number(),
  sizeBytes: z.number(),
  databases: z.array(z.string()).readonly(),
  remarks: z.array(remark).readonly(),
})
export type BackupShown = z.output<typeof backup>

const progress = z.strictObject({
  component: z.string(),
  step: z.string(),
  text: z.string(),
  doneBytes: z.number().optional(),
  ofBytes: z.number().optional(),
})

export const recoveryApi = {
  'list-backups': {
    privilege: 'observe',
    summary: 'the backups of a service, newest first',
    input: z.strictObject({ service: name }),
    output: z.array(backup).readonly(),
  },
  'backup-service': {
    privilege: 'change',
    summary: 'copy the data folder of a service, its databases consistent, while it runs',
    input: z.strictObject({ service: name }),
    stream: progress,
    output: backup,
  },
  'restore-service': {
    privilege: 'change',
    summary: 'put a backup in the place of what is in the data folder of a service',
    input: z.strictObject({
      service: name,
      name: backupName.optional(),
      /** Stops what runs, and starts it again afterwards. */
      stop: z.boolean().default(false),
      /** What is there now is not backed up first. */
      discard: z.boolean().default(false),
    }),
    stream: progress,
    output: z.strictObject({
      from: backup,
      /** The backup of what was there before. */
      keptAs: backupName.nullable(),
      /** Things that belonged to other users, and now to the agent's. */
      otherOwners: z.number(),
      stopped: z.array(z.string()).readonly(),
    }),
  },
  recover: {
    privilege: 'change',
    summary: 'start everything that should run and does not, now',
    input: z.strictObject({}),
    stream: progress,
    output: z.strictObject({
      isSimulated: z.boolean(),
      done: z
        .array(z.strictObject({ place: z.string(), did: z.enum(['started', 'made', 'failed']), reason: z.string().nullable() }))
        .readonly(),
      /** How many ran already. */
      running: z.number(),
    }),
  },
} as const satisfies Api
