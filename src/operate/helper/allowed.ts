// What the allow-lists of the configuration name. A list that is empty names nothing.
import { matcher } from '../../base/access/pattern.ts'
import type { OperateConfig } from '../config.ts'
import type { AllowList } from './settings.ts'

export type Allows = (list: AllowList, name: string) => boolean

/** The helper decides by it; the server shows no more than it. */
export function allowedBy({ helper }: Pick<OperateConfig, 'helper'>): Allows {
  const lists = new Map(Object.entries(helper.allow).map(([list, names]) => [list, matcher(names)]))
  return (list, name) => lists.get(list)!(name)
}
