// Plays docs/runbooks/encrypted-peer-messaging.md, and says which requirements of the runbook no step has proved.
import { expect } from 'vitest'
import { mcpClient } from '../kit/mcp-client.ts'
import { streamsOf } from '../script/hex-dump.ts'
import type { Acts, Scene } from '../script/play.ts'
import { home } from '../script/stage.ts'
import { strangersFolder, strangersMissing } from '../strangers/strangers.ts'
import { encryptedPeerMessaging } from './encrypted-peer-messaging.ts'
import { playPage } from './play-page.ts'

const acts: Acts = {
  'claude desktop uses remote-linux-fs': (scene) => useFiles(scene, 'remote-linux-fs'),
  'claude desktop uses linuxbox': (scene) => useFiles(scene, 'linuxbox'),
  async 'read the captures'({ window }) {
    for (const name of ['peer-port', 'registry-port']) {
      const streams = async (): Promise<Buffer[]> => [...streamsOf(window(name).output()).values()]
      // what was spoken in the open came last: once it is there, all else is
      await expect.poll(async () => (await streams()).some((bytes) => bytes.includes('Spoken in the open')), { timeout: 20_000 }).toBe(true)
      const [spoken, others] = split(await streams(), (bytes) => bytes.includes('Spoken in the open'))
      expect(spoken).toHaveLength(1)
      const all = Buffer.concat(others)
      for (const word of ['Secret', 'Ben', 'Anna', 'peer', '12D3KooW', 'message', 'deliver'])
        expect({ name, word, isSeen: all.includes(word) }).toEqual({ name, word, isSeen: false })
      expect(all.includes('/noise')).toBe(true)
      expect(all.length).toBeGreaterThan(1_000)
      // chance makes 24 readable bytes in a row of random ones once in 10^10 places
      expect(all.toString('latin1').match(/[ -~]{24,}/g)).toBeNull()
    }
  },
}

playPage({
  file: 'encrypted-peer-messaging.md',
  hosts: ['registry', 'anna', 'ben', 'linux', 'mac'],
  tools: ['npm', 'telnet', 'nc', 'tcpdump', 'faketime'],
  missing: strangersMissing(),
  acts,
  requirements: encryptedPeerMessaging,
  given: ({ registry }) => ({ 'registry-ip': registry!, 'ben-later': '10.88.7.103', strangers: strangersFolder }),
})

function split<T>(all: readonly T[], test: (one: T) => boolean): [T[], T[]] {
  return [all.filter(test), all.filter((one) => !test(one))]
}

/** As Claude Desktop starts what its file names: that command and those arguments, and of the environment not even a PATH. */
async function useFiles({ stage }: Scene, server: string): Promise<void> {
  const mac = stage.hosts.get('mac')!
  const { mcpServers } = JSON.parse(mac.read('~/Library/Application Support/Claude/claude_desktop_config.json')) as ClaudeConfig
  const { command, args } = mcpServers[server]!
  const client = mcpClient(mac.inside('env', '-i', `HOME=${home}`, command, ...args), { PATH: process.env['PATH']! })
  try {
    await client.initialize()
    expect((await client.request('tools/list')).result?.tools?.map(({ name }) => name)).toContain('read_text_file')
    const call = async (name: string, given: object): Promise<string> =>
      (await client.request('tools/call', { name, arguments: given })).result!.content![0]!.text
    expect(await call('list_directory', { path: '/home/user/projects' })).toContain('where.txt')
    expect(await call('read_text_file', { path: '/home/user/projects/where.txt' })).toContain('under the third oak')
    await call('write_file', { path: `/home/user/projects/${server}.txt`, content: 'from the Mac' })
    expect(stage.hosts.get('linux')!.read(`~/projects/${server}.txt`)).toBe('from the Mac')
  } finally {
    client.process.stdin.end()
    await client.ended
  }
}

type ClaudeConfig = { readonly mcpServers: Readonly<Record<string, { readonly command: string; readonly args: readonly string[] }>> }
