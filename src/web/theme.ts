// Light or dark: as the system says, or as the person chose here.
import { remember, remembered } from './browser.ts'

export const themes = ['system', 'light', 'dark'] as const
export type Theme = (typeof themes)[number]

export function currentTheme(): Theme {
  return themes.find((theme) => theme === remembered('theme')) ?? 'system'
}

/** The style sheet looks at `data-theme`. */
export function applyTheme(theme = currentTheme()): void {
  remember('theme', theme === 'system' ? undefined : theme)
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}
