// Every way shared keyed state can fail; losing a race for a key is no failure but an answer.
import { faults } from '../../kernel/fault.ts'

export const fault = faults('kv', {
  bad_key: (d: { problem: string }) => ({
    kind: 'usage',
    message: `not a key: ${d.problem}`,
    hint: 'a key is text of 1 to 200 bytes after escaping',
  }),
  bad_writer: (d: { writer: string }) => ({
    kind: 'usage',
    message: `not a writer's nonce: ${JSON.stringify(d.writer)}`,
    hint: 'use kernel randomId(): 1 to 64 of A-Z a-z 0-9 _ -',
  }),
  too_large: (d: { key: string; sizeBytes: number; maxBytes: number }) => ({
    kind: 'limited',
    message: `the value of ${d.key} has ${d.sizeBytes} bytes, above the limit of ${d.maxBytes}`,
    hint: 'keep large things in files and their name here',
  }),
  full: (d: { bucket: string; maxEntries: number }) => ({
    kind: 'limited',
    message: `the bucket ${d.bucket} holds ${d.maxEntries} entries, its limit`,
    hint: 'wait until some have ended, or raise the limit',
  }),
  too_many_watchers: (d: { bucket: string; maxWatchers: number }) => ({
    kind: 'limited',
    message: `${d.maxWatchers} watch the bucket ${d.bucket} already`,
    hint: 'end a watch before the next',
  }),
  foreign_value: (d: { key: string }) => ({
    kind: 'unavailable',
    message: `the value of ${d.key} was not written by Fairlead`,
    hint: 'give Fairlead a bucket of its own',
  }),
  foreign_bucket: (d: { bucket: string }) => ({
    kind: 'config',
    message: `the bucket ${d.bucket} of the cluster was not made by Fairlead: its entries would end by themselves, or have several values`,
    hint: `give Fairlead a name of its own (cluster.name), or remove it: nats stream rm KV_${d.bucket}`,
  }),
  unavailable: (d: { reason: string }) => ({
    kind: 'unavailable',
    message: `shared state cannot be reached: ${d.reason}`,
    hint: 'read the key before trying again: the writer nonce tells whether the write arrived',
  }),
})
