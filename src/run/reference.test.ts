// An image's name is split as registries do.
import { expect, test } from 'vitest'
import { splitReference } from './reference.ts'

const digest = `sha256:${'a'.repeat(64)}`
test.each([
  ['name', { name: 'name', tag: undefined }],
  ['name:1', { name: 'name', tag: '1' }],
  ['host:5000/a/b', { name: 'host:5000/a/b', tag: undefined }],
  ['host:5000/a/b:v1.2', { name: 'host:5000/a/b', tag: 'v1.2' }],
  [`host:5000/a/b@${digest}`, { name: 'host:5000/a/b', tag: undefined, digest }],
  [`a:1@${digest}`, { name: 'a', tag: '1', digest }],
  [digest, { name: '', digest }],
])('%s', (reference, parts) => expect(splitReference(reference)).toEqual(parts))
