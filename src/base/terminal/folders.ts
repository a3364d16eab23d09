// Decides where files live: the XDG folders, the system's, one folder for all (FAIRLEAD_HOME), or those of a runbook's name.
import { isAbsolute, join, resolve } from 'node:path'
import { faults } from '../../kernel/fault.ts'
import type { Folders, Home } from './command.ts'

const fault = faults('folders', {
  no_home: () => ({
    kind: 'config',
    message: 'the home folder is not known',
    hint: 'set HOME, or FAIRLEAD_HOME to the one folder for all files',
  }),
})

type Env = Readonly<Record<string, string | undefined>>

/** Folders of a runbook's name; `~/` stands for the home folder. What is not named stays as it is without the name. */
export type OwnFolders = { readonly [Name in keyof Folders]?: string }

/** An absolute path from the environment; XDG (basedir 0.8) says that a relative one is to be ignored. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined
}

/** The home folder, from HOME or else from the user database; fault: `folders.no_home`. */
export function homeFolder(env: Env, fromDatabase: () => string): string {
  const fromEnv = absolute(env['HOME'])
  if (fromEnv) return fromEnv
  try {
    return fromDatabase()
  } catch (error) {
    throw fault.no_home({}, error)
  }
}

/** The folders of this run. FAIRLEAD_HOME decides before a runbook's name, and that before FAIRLEAD_SYSTEM (which only root may use) and XDG. */
export function foldersOf(env: Env, home: string, isRoot: boolean, own: OwnFolders = {}): Folders {
  const all = env['FAIRLEAD_HOME']
  if (all) return { config: resolve(all, 'config'), state: resolve(all, 'state'), runtime: resolve(all, 'run') }
  const folders = isRoot && env['FAIRLEAD_SYSTEM'] === '1' ? systemFolders : userFolders(env, home)
  const named = Object.entries(own).map(([name, path]) => [name, path.startsWith('~/') ? join(home, path.slice(2)) : path])
  return { ...folders, ...(Object.fromEntries(named) as OwnFolders) }
}

/** A runbook's name: what it stands for begins with the capability. */
type Name = { readonly name: string; readonly path: readonly string[]; readonly folders: OwnFolders }

/** Everywhere that daemons of this machine may have their files, those of `alias` first; with FAIRLEAD_HOME nowhere but there. */
export function homesOf(env: Env, home: string, isRoot: boolean, alias: Name | undefined, names: readonly Name[]): readonly Home[] {
  const homeOf = ({ name, path, folders }: Name): Home => ({
    folders: foldersOf(env, home, isRoot, folders),
    alias: name,
    ...(path[0] === undefined ? {} : { capability: path[0] }),
  })
  const own = alias ? homeOf(alias) : { folders: foldersOf(env, home, isRoot) }
  if (env['FAIRLEAD_HOME']) return [own]
  const others = names.filter(({ name, folders }) => name !== alias?.name && Object.keys(folders).length > 0)
  const plain = [userFolders(env, home), systemFolders].filter(({ runtime }) => runtime !== own.folders.runtime)
  return [own, ...plain.map((folders) => ({ folders })), ...others.map(homeOf)]
}

const systemFolders: Folders = { config: '/etc/fairlead', state: '/var/lib/fairlead', runtime: '/run/fairlead' }

function userFolders(env: Env, home: string): Folders {
  const state = join(absolute(env['XDG_STATE_HOME']) ?? join(home, '.local', 'state'), 'fairlead')
  const runtime = absolute(env['XDG_RUNTIME_DIR'])
  return {
    config: join(absolute(env['XDG_CONFIG_HOME']) ?? join(home, '.config'), 'fairlead'),
    state,
    runtime: runtime ? join(runtime, 'fairlead') : join(state, 'run'),
  }
}
