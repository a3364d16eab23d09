// The environment of a child: named variable by variable, never inherited whole, because what a daemon holds in its own is not the child's to read.

/** What a program needs to find its files, its user and its language; nothing that is a credential. */
const ordinary = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'LC_ALL', 'LC_CTYPE', 'LC_MESSAGES', 'TZ', 'TMPDIR']

/** The ordinary variables of `env` (exported shell functions left out), and `extra` over them. */
export function childEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  extra: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of ordinary) {
    const value = env[name]
    if (value !== undefined && !value.startsWith('()')) picked[name] = value
  }
  return { ...picked, ...extra }
}
