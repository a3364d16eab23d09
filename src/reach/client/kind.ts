// What an MCP client is to us: the files in which it looks for servers, and how an entry in them looks. One file per client in clients/.

/** Where a person's files lie, in this client's eyes. */
export type ClientPlace = {
  /** `process.platform`. */
  readonly platform: string
  readonly home: string
  /** `$XDG_CONFIG_HOME`, else `~/.config`. */
  readonly config: string
}

/** A stdio MCP server: argv, the program's path absolute. */
export type ServerCommand = { readonly command: string; readonly args: readonly string[] }

export type ClientKind = {
  readonly title: string
  /** The member of the file's root that holds the entries by name. */
  readonly root: string
  /** The person's own file; undefined where the client does not run on that platform. */
  own(place: ClientPlace): string | undefined
  /** The file of a project, from its folder on; not there when the client knows none. */
  readonly project?: string
  entry(server: ServerCommand): Readonly<Record<string, unknown>>
  /** What a person does so that the client takes note. */
  readonly afterwards: string
}

/** The folder in which desktop programs keep their files on this platform. */
export function applicationFiles({ platform, home, config }: ClientPlace): string | undefined {
  if (platform === 'darwin') return `${home}/Library/Application Support`
  return platform === 'linux' ? config : undefined
}
