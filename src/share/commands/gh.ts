// Runs GitHub's own `gh` with its API calls answered from the cache where they can be.
import { join } from 'node:path'
import { connectSocket } from '../../base/wire/unix.ts'
import { type Context, type Flag, command } from '../../base/terminal/command.ts'
import { launcherFolder, launcherOf } from '../../base/terminal/launcher.ts'
import { execAtTerminal } from '../../kernel/exec.ts'
import { asFault } from '../../kernel/fault.ts'
import { makeFolder, pointLink, readText, removeFolder, statOf, writeWhole } from '../../kernel/file.ts'
import { randomId } from '../../kernel/random.ts'
import { linkGh, underway } from '../gh-launcher.ts'
import { openOwnCache } from '../own-cache.ts'
import { type Places, placesIn } from '../places.ts'
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
    'Everything after -- is for gh. The proxy that runs is used, as it was started; without one, the cache of this person is opened for as long as gh runs. If another gh has it open at that time, this one keeps what it is told only until it ends: for many at once, run "fairlead share proxy". Where the cache cannot run, gh asks the API itself.',
  args: { arguments: { variadic: true, optional: true, summary: 'of gh, after --' } },
  flags: {
    ...cacheFlags,
    link: {
      value: 'DIR',
      summary: 'write a file gh into this folder that does the same, with these flags: put the folder before the real one on the PATH',
    },
  },
  examples: [
    ['fairlead share gh -- run list --repo OWNER/REPOSITORY', 'within a minute, the second time makes no call'],
    ['fairlead share gh -- api repos/OWNER/REPOSITORY', 'any call of the API'],
    ['fairlead share gh --link ~/.local/bin', 'afterwards gh, typed or called by a program, is this one'],
  ],
  async run(context, { args, flags }) {
    const { env, folders, terminal } = context
    if (flags.link !== undefined) {
      settingsOf(context, flags) // what is wrong with them is told now
      const path = linkGh(launcherFolder(flags.link), launcherOf(context.self), givenFlags(flags))
      return terminal.result({ linked: path }, () => path)
    }
    const words = args.arguments
    const run = async (more: Context['env'] = {}): Promise<number> =>
      (await execAtTerminal(['gh', ...words], { ...env, [underway]: '1', ...more })) ?? 1
    if (ownBusiness.has(words[0] ?? 'help')) return run()
    const places = placesIn(folders)
    await using stack = new AsyncDisposableStack()
    let config: string
    try {
      config = await cacheConfig(context, places, () => settingsOf(context, flags), stack)
    } catch (error) {
      const { kind, message } = asFault(error)
      if (kind === 'usage') throw error
      terminal.note(`fairlead: the cache cannot run: ${message}; gh asks the API itself`)
      return run()
    }
    return await run({ GH_CONFIG_DIR: config }) // the cache stays open until then
  },
})

/** As they are typed, those that say something. */
function givenFlags(flags: Readonly<Record<keyof typeof cacheFlags, string | number | undefined>>): readonly string[] {
  return Object.entries<Flag>(cacheFlags).flatMap(([name, flag]) => {
    const value = flags[name as keyof typeof cacheFlags]
    return value === undefined || value === flag.default ? [] : [`--${name}=${value}`]
  })
}

/** A folder with the configuration for a gh that talks to the cache: the one that runs, or one that is opened until the stack is disposed of. */
async function cacheConfig(
  context: Context,
  places: Places,
  settings: () => ReturnType<typeof settingsOf>,
  stack: AsyncDisposableStack,
): Promise<string> {
  const own = join(places.control, randomId(6))
  stack.defer(() => removeFolder(own))
  makeFolder(own)
  const socket = (await answers(places.socket)) ? places.socket : await openOwn(context, { places, own, stack }, settings())
  const config = join(own, 'gh')
  writeConfig(config, socket, configFolder(context.env))
  return config
}

type Opening = { readonly places: Places; readonly own: string; readonly stack: AsyncDisposableStack }

/** The socket of a cache that is opened for this run alone: the one of this person, or an empty one. */
async function openOwn({ clock, log }: Context, { places, own, stack }: Opening, settings: ReturnType<typeof settingsOf>): Promise<string> {
  const alone: Places = { ...places, control: own, socket: join(own, 's') }
  stack.use(await openOwnCache(alone, (at) => openProxy({ clock, log }, at, settings)))
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
