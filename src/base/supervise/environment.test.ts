// What a child finds in its environment.
import { expect, test } from 'vitest'
import { childEnvironment } from './environment.ts'

test('picks what is ordinary, leaves credentials and shell functions, and lets what was named win', () => {
  const env = {
    PATH: '/bin',
    HOME: '/h',
    LANG: '() { :; }',
    AWS_SECRET_ACCESS_KEY: 'x',
    NODE_OPTIONS: '--inspect',
    USER: undefined,
    TMPDIR: '/t',
  }
  expect(childEnvironment(env, { TMPDIR: '/mine', TOKEN: 'y' })).toEqual({ PATH: '/bin', HOME: '/h', TMPDIR: '/mine', TOKEN: 'y' })
})
