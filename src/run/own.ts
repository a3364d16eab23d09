// What of a machine is the node's own, and no service's: a definition that names any of it is refused, whoever wrote it, since what runs there could be the node itself.
import { lstatSync, realpathSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { reasonOf } from '../kernel/fault.ts'
import { placeText } from './container.ts'
import { fault } from './faults.ts'
import type { Component, Service } from './service/config.ts'

export type Own = {
  /** Absolute: where its settings, keys, sockets and copies are, and what its runtime keeps. */
  readonly folders: readonly string[]
  /** Holds a folder for each service's data. It may itself be in one of ours. */
  readonly services: string
  /** Where it listens itself. */
  readonly ports: readonly number[]
  /** The first port that its user may listen at; the others take a right. */
  readonly leastPort: number
}

/** Links are followed as they lie now. Faults: `run.own_volume`, `.own_port`, `.low_port`, `.hidden_path`. */
export function refuseOwn({ name, components }: Pick<Service, 'name' | 'components'>, own: Own): void {
  for (const component of components) {
    const place = placeText({ service: name, component: component.name })
    for (const { source } of component.volumes) {
      const path = source.startsWith('/') ? ownAt(place, source, own) : undefined
      if (path !== undefined) throw fault.own_volume({ place, source, path })
    }
    const port = ownPort(component, own)
    if (port !== undefined) throw fault.own_port({ place, port })
    const low = component.ports.find(({ hostPort }) => hostPort < own.leastPort)
    if (low) throw fault.low_port({ place, port: low.hostPort, least: own.leastPort })
  }
}

/** The folder of ours that is there, around it, or in it; undefined: none is. `of`: who names that path. Fault `run.hidden_path`. */
export function ownAt(of: string, path: string, { folders, services }: Pick<Own, 'folders' | 'services'>): string | undefined {
  const real = realPath(of, path)
  const data = realPath(of, services)
  return folders.find((folder) => {
    const own = realPath(of, folder)
    if (isWithin(own, real)) return true
    return isWithin(real, own) && !(isWithin(data, own) && isWithin(real, data) && real !== data)
  })
}

function ownPort({ ports, network, routes }: Component, own: Own): number | undefined {
  const published = ports.filter(({ protocol }) => protocol === 'tcp').map(({ hostPort }) => hostPort)
  return [...published, ...(network === 'host' ? routes.map(({ port }) => port) : [])].find((port) => own.ports.includes(port))
}

function isWithin(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith('../')
}

/** To what is not there yet, say. */
function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

/** Of what is not there yet, the real path that it would have. */
function realPath(of: string, path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if (reasonOf(error) !== 'ENOENT' || path === '/' || isLink(path)) throw fault.hidden_path({ of, path }, error)
    return join(realPath(of, dirname(path)), relative(dirname(path), path))
  }
}
