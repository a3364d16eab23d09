// Runs GitHub's own `gh` with its API calls answered from the cache where they can be.
import { join } from 'node:path'
import { connectSocket } from '../../base/wire/unix.ts'
import { type Context, command } from '../../base/terminal/command.ts'
import { execAtTerminal } from '../../kernel/exec.ts'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, pointLink, readText, removeFolder, statOf, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { type Places, placesIn, storedIn } from '../places.ts'
import { openProxy } from '../proxy.ts'
import { cacheFlags, settingsOf } from '../settings.ts'

/** They change files of gh's own, which it has to find where they are. */
const ownBusiness: ReadonlySet<string> = new Set([
  'alias',
  'auth',
  'config',
  'extension',
  'extensions',
  'ext',
  'completion',
  'help',
  'version',
])

export default command({
  summary: 'run gh with the same API call made once',
  description:
    'Everything after -- is for gh. The proxy that runs is used, as it was started; without one, the cache of this person is opened for as long as gh runs. If another gh has it open at that time, this one keeps what it is told only until it ends: for many at once, run "fairlead share proxy".',
  args: { arguments: { variadic: true, optional: true, summary: 'of gh, after --' } },
  flags: cacheFlags,
  examples: [
    ['fairlead share gh -- run list --repo OWNER/REPOSITORY', 'within a minute, the second time makes no call'],
    ['fairlead share gh -- api repos/OWNER/REPOSITORY', 'any call of the API'],
  ],
  async run(context, { args, flags }) {
    const { env, folders } = context
    const words = args.arguments
    if (ownBusiness.has(words[0] ?? 'help')) return (await execAtTerminal(['gh', ...words], env)) ?? 1
    const places = placesIn(folders)
    await using stack = new AsyncDisposableStack()
    const own = join(places.control, randomId(6))
    stack.defer(() => removeFolder(own))
    makeFolder(own)
    const socket = (await answers(places.socket))
      ? places.socket
      : await openOwn(context, { places, own, stack }, settingsOf(context, flags))
    writeConfig(join(own, 'gh'), socket, configFolder(env))
    return (await execAtTerminal(['gh', ...words], { ...env, GH_CONFIG_DIR: join(own, 'gh') })) ?? 1
  },
})

type Opening = { readonly places: Places; readonly own: string; readonly stack: AsyncDisposableStack }

/** The socket of a cache that is opened for this run alone: the one of this person, or an empty one. */
async function openOwn({ clock, log }: Context, { places, own, stack }: Opening, settings: ReturnType<typeof settingsOf>): Promise<string> {
  const alone: Places = { ...places, control: own, socket: join(own, 's') }
  try {
    stack.use(await openProxy({ clock, log }, alone, settings))
  } catch (error) {
    if (asFault(error).code !== 'share.running') throw error
    stack.use(await openProxy({ clock, log }, { ...alone, ...storedIn(join(own, 'share')) }, settings))
  }
  return alone.socket
}

async function answers(path: string): Promise<boolean> {
  try {
    const socket = await connectSocket(path)
    socket.destroy()
    return true
  } catch {
    return false
  }
}

/** Where gh looks for its files (`gh help environment`). */
function configFolder(env: Context['env']): string {
  if (env['GH_CONFIG_DIR']) return env['GH_CONFIG_DIR']
  return join(env['XDG_CONFIG_HOME'] || join(env['HOME'] ?? '', '.config'), 'gh')
}

/** Its configuration as it is, but for the socket; its credentials stay where they are. */
function writeConfig(folder: string, socket: string, from: string): void {
  makeFolder(folder)
  const kept = (readText(join(from, 'config.yml')) ?? '').replaceAll(/^http_unix_socket:.*$/gm, '').trimEnd()
  writeWhole(join(folder, 'config.yml'), `${kept}\nhttp_unix_socket: ${JSON.stringify(socket)}\n`)
  const hosts = join(from, 'hosts.yml')
  if (statOf(hosts)) pointLink(join(folder, 'hosts.yml'), hosts)
}
