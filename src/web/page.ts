// What a page of the dashboard is: one file of pages/, its default export.
import type { ComponentChild } from 'preact'
import type { ShownDaemon, Signed } from '../gate/dashboard/client.ts'

/** What every page is given. */
export type PageNeeds = {
  readonly signed: Signed
  /** Those that there are now. */
  readonly daemons: readonly ShownDaemon[]
  /** What follows the page's name in the address: `#/machines/pi/web` has `pi` and `web`. */
  readonly rest: readonly string[]
}

export type Page = {
  readonly title: string
  /** Where it stands in the navigation. */
  readonly order: number
  /** The path of its icon, in a square of 24. */
  readonly icon: string
  View(needs: PageNeeds): ComponentChild
}

export function page(declared: Page): Page {
  return declared
}
