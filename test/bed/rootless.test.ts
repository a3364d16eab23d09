// What podman makes hard for an agent that is not root, seen from outside: ports that answer again after a container died.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { cleanUp, keep } from '../kit/cleanup.ts'
import { obstacle } from './containers.ts'
import { type RootlessNode, createRootlessNode, freePort } from './rootless-node.ts'

const missing = obstacle()
let node: RootlessNode

beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing)
})
beforeAll(async () => {
  if (missing !== undefined) return
  node = await createRootlessNode()
  keep()
}, 60_000)
afterAll(async () => {
  await node?.close()
  await cleanUp()
}, 60_000)

const define = (name: string, component: string): void =>
  writeFileSync(
    join(node.bed.services, `${name}.toml`),
    `name = "${name}"\nnode = "rift"\n[[components]]\nname = "${name}"\nimage = "${node.home.image}"\nstop_within = "0s"\n${component}`,
  )
const inspect = async (name: string, format: string): Promise<string> =>
  (await node.home.podman('inspect', '--format', format, name)).trim()
/** What is answered at that port now; no connection outlives it. */
const ask = async (port: number): Promise<number | string> =>
  fetch(`http://127.0.0.1:${port}/group`, { signal: AbortSignal.timeout(1_000), headers: { connection: 'close' } }).then(
    async (answer) => {
      await answer.text()
      return answer.status
    },
    (error: unknown) => String((error as Error).cause ?? error),
  )

test.for(['no', 'on-failure:5'])('a container that dies (restart = "%s") is back with its port, whoever starts it', async (restart) => {
  const port = await freePort()
  const name = restart.slice(0, 2)
  define(name, `restart = "${restart}"\nports = ["${port}:80"]\ncmd = ["httpd", "-f", "-p", "80", "-h", "/etc"]\n`)
  expect(await node.bed.mcp(['deploy', name])).toMatchObject({ exitCode: 0 })
  for (let round = 0; round < 3; round++) {
    await expect.poll(() => ask(port), { timeout: 10_000 }).toBe(200)
    const before = await inspect(name, '{{.State.Pid}}')
    process.kill(Number(before), 'SIGKILL')
    await expect.poll(() => inspect(name, '{{.State.Pid}}'), { timeout: 15_000 }).not.toMatch(new RegExp(`^(0|${before})$`))
    await expect.poll(() => ask(port), { timeout: 1_500 }).toBe(200)
  }
})
