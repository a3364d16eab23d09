// Where the data of a service is: one folder each, and never the agent's own, in which its tokens and keys are.
import { join } from 'node:path'
import { fault } from '../faults.ts'
import { ownAt } from '../own.ts'

export type DataPlaces = {
  /** Holds a folder for each service's data. */
  readonly services: string
  /** The agent's own: the data of no service, whatever that is called. */
  readonly folder: string
}

/** Faults: `run.own_folder`, also where a link leads there; `run.hidden_path`. */
export function dataFolder({ services, folder }: DataPlaces, service: string): string {
  const path = join(services, service)
  if (ownAt(service, path, { services, folders: [folder] }) !== undefined) throw fault.own_folder({ path })
  return path
}
