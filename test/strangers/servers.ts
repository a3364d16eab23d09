// MCP servers that we did not write: how each is started, on what it works, and what a client says to it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import type { Answers, Era } from './conversation.ts'
import type { Clock } from './frames.ts'
import { stranger } from './strangers.ts'

type Params = Readonly<Record<string, unknown>>

/** One thing that a client asks, and what it waits for besides the answer. */
export type Step = { readonly method: string; readonly params: Params; readonly awaits?: readonly [method: string, count: number] }

export type Server = {
  readonly package: string
  /** What it is made with. */
  readonly madeWith: string
  readonly eras: readonly Era[]
  /** Its arguments, when it works in `folder`. */
  argv(folder: string): readonly string[]
  /** `site`: the address of one that answers every request with one page. */
  readonly env?: (folder: string, site: string) => Readonly<Record<string, string>>
  /** How it serves HTTP at `port`, and where; absent: it does not. */
  readonly http?: (
    folder: string,
    port: number,
  ) => { readonly argv: readonly string[]; readonly env?: Record<string, string>; readonly path: string }
  /** Puts into the folder, which is empty, what the server works on: the same each time. */
  readonly fill?: (folder: string) => void
  readonly steps: (folder: string, era: Era) => readonly Step[]
  /** A call that changes nothing. */
  sample(folder: string): { readonly tool: string; readonly given: Params }
  readonly capabilities?: Params
  readonly answers?: Answers
  readonly clocks?: readonly Clock[]
  /** Offline, its tools can only tell that they failed. */
  readonly needsInternet?: true
  /** Answers what it does not know under an id that nobody asked with. */
  readonly answersUnknownAmiss?: true
}

const call = (name: string, given: Params = {}, awaits?: Step['awaits']): Step => ({
  method: 'tools/call',
  params: { name, arguments: given },
  ...(awaits ? { awaits } : {}),
})
const read = (uri: string): Step => ({ method: 'resources/read', params: { uri } })
const prompt = (name: string, given: Params = {}): Step => ({ method: 'prompts/get', params: { name, arguments: given } })
const legacy = (era: Era, ...steps: readonly Step[]): readonly Step[] => (era === 'legacy' ? steps : [])

const at = new Date('2026-01-02T03:04:05Z')
function write(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text)
    utimesSync(join(folder, name), at, at)
  }
}

const texts = {
  'where.txt': 'under the third oak\n',
  'odd.txt': 'ä\u2028"\\\u0001 \u{1f600}\n',
  'large.txt': 'ä\u2028"\\\n'.repeat(50_000),
}

const isoTime: Clock = [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g, '<time>']

/** What a server makes up. */
const uuid: Clock = [/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<uuid>']

export const servers: readonly Server[] = [
  {
    package: '@modelcontextprotocol/server-everything',
    madeWith: 'TypeScript SDK 1.32',
    eras: ['legacy'],
    argv: () => ['stdio'],
    http: (_, port) => ({ argv: ['streamableHttp'], env: { PORT: String(port) }, path: '/mcp' }),
    capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} },
    answers: {
      'roots/list': { roots: [{ uri: 'file:///srv/projects', name: 'projects' }] },
      'sampling/createMessage': { role: 'assistant', model: 'none', content: { type: 'text', text: 'sampled' } },
      'elicitation/create': { action: 'accept', content: { name: 'Ann', check: true } },
    },
    sample: () => ({ tool: 'get-structured-content', given: { location: 'Chicago' } }),
    steps: () => [
      { method: 'logging/setLevel', params: { level: 'debug' } },
      call('echo', { message: 'hello ä\u2028' }),
      call('get-sum', { a: 0.1, b: 1e21 }),
      call('get-tiny-image'),
      call('get-structured-content', { location: 'Chicago' }),
      call('get-annotated-message', { messageType: 'error', includeImage: true }),
      call('get-resource-links', { count: 3 }),
      call('get-resource-reference', { resourceType: 'Text', resourceId: 1 }),
      call('get-roots-list'),
      call('trigger-sampling-request', { prompt: 'say something', maxTokens: 10 }),
      call('trigger-elicitation-request'),
      {
        method: 'tools/call',
        params: { name: 'trigger-long-running-operation', arguments: { duration: 0.4, steps: 4 }, _meta: { progressToken: 'steps' } },
      },
      call('get-sum', { a: 'not a number' }),
      prompt('simple-prompt'),
      prompt('args-prompt', { city: 'Bonn' }),
      prompt('resource-prompt', { resourceType: 'Text', resourceId: '2' }),
      {
        method: 'completion/complete',
        params: { ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'department', value: 'E' } },
      },
      read('demo://resource/static/document/architecture.md'),
      read('demo://resource/dynamic/text/3'),
      read('demo://resource/nowhere'),
      { method: 'resources/subscribe', params: { uri: 'demo://resource/dynamic/text/1' } },
      call('toggle-subscriber-updates', {}, ['notifications/resources/updated', 1]),
      call('toggle-subscriber-updates'),
      { method: 'resources/unsubscribe', params: { uri: 'demo://resource/dynamic/text/1' } },
    ],
    clocks: [isoTime, uuid, [/\d{1,2}:\d\d:\d\d [AP]M/g, '<time>']],
  },
  {
    package: '@modelcontextprotocol/server-filesystem',
    madeWith: 'TypeScript SDK 1.32',
    eras: ['legacy'],
    argv: (folder) => [folder],
    fill: (folder) => write(folder, texts),
    sample: (folder) => ({ tool: 'read_text_file', given: { path: join(folder, 'odd.txt') } }),
    steps: (folder) => [
      call('read_text_file', { path: join(folder, 'odd.txt') }),
      call('read_text_file', { path: join(folder, 'large.txt') }),
      call('read_text_file', { path: '/etc/passwd' }),
      call('search_files', { path: folder, pattern: '**/*.txt' }),
      call('write_file', { path: join(folder, 'new.txt'), content: texts['odd.txt'] }),
      call('edit_file', { path: join(folder, 'new.txt'), edits: [{ oldText: 'ä', newText: 'ö' }] }),
      call('directory_tree', { path: folder }),
      call('list_allowed_directories'),
    ],
  },
  {
    package: '@modelcontextprotocol/server-memory',
    madeWith: 'TypeScript SDK 1.32',
    eras: ['legacy'],
    argv: () => [],
    env: (folder) => ({ MEMORY_FILE_PATH: join(folder, 'memory.jsonl') }),
    fill: (folder) =>
      write(folder, { 'memory.jsonl': '{"type":"entity","name":"oak","entityType":"tree","observations":["the third"]}\n' }),
    sample: () => ({ tool: 'search_nodes', given: { query: 'third' } }),
    steps: () => [
      { method: 'resources/subscribe', params: { uri: 'memory://knowledge-graph' } },
      call('create_entities', { entities: [{ name: 'elm', entityType: 'tree', observations: ['the first', 'ä\u2028"\\'] }] }, [
        'notifications/resources/updated',
        1,
      ]),
      call('add_observations', { observations: [{ entityName: 'oak', contents: ['is old'] }] }),
      call('add_observations', { observations: [{ entityName: 'nobody', contents: ['x'] }] }),
      call('search_nodes', { query: 'third' }),
      read('memory://knowledge-graph'),
    ],
  },
  {
    package: '@j0hanz/filesystem-mcp',
    madeWith: 'TypeScript SDK 2.0',
    eras: ['legacy', 'modern'],
    argv: (folder) => [folder],
    http: (folder, port) => ({ argv: [folder, '--port', String(port)], path: '/mcp' }),
    fill: (folder) => write(folder, texts),
    sample: (folder) => ({ tool: 'read', given: { path: join(folder, 'odd.txt') } }),
    steps: (folder, era) => [
      call('list', { path: folder }),
      call('read', { path: join(folder, 'odd.txt') }),
      call('read', { path: join(folder, 'large.txt') }),
      call('read', { path: '/etc/passwd' }),
      call('find_files', { path: folder, pattern: '*.txt' }),
      {
        method: 'tools/call',
        params: { name: 'search_text', arguments: { path: folder, searchPattern: 'oak' }, _meta: { progressToken: 7 } },
      },
      call('replace_text', { path: folder, searchPattern: 'third', replacement: 'fourth' }),
      call('diff', { a: join(folder, 'where.txt'), b: join(folder, 'odd.txt') }),
      prompt('get-help', { topic: 'constraints' }),
      read('internal://instructions'),
      {
        method: 'completion/complete',
        params: { ref: { type: 'ref/prompt', name: 'get-help' }, argument: { name: 'topic', value: 'to' } },
      },
      ...(era === 'legacy'
        ? [{ method: 'resources/subscribe', params: { uri: 'internal://instructions' } }]
        : [{ method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true, promptsListChanged: true } } }]),
    ],
    clocks: [isoTime],
  },
  {
    package: 'obsidian-mcp',
    madeWith: 'TypeScript SDK 2',
    eras: ['legacy', 'modern'],
    argv: (folder) => ['serve', '--vault', `oaks=${folder}`],
    fill(folder) {
      mkdirSync(join(folder, '.obsidian'))
      write(folder, { 'oak.md': '---\ntags: [tree]\n---\n# Oak\nsee [[elm]]\n', 'elm.md': '# Elm\n' })
    },
    sample: () => ({ tool: 'obsidian_read_note', given: { vault: 'oaks', path: 'oak.md' } }),
    steps: () => [
      call('obsidian_list_vaults'),
      call('obsidian_read_note', { vault: 'oaks', path: 'oak.md' }),
      call('obsidian_search_vault', { vault: 'oaks', query: 'elm' }),
      call('obsidian_create_note', { vault: 'oaks', path: 'ash.md', content: texts['odd.txt'] }),
      call('obsidian_add_tags', { vault: 'oaks', paths: ['elm.md'], tags: ['tree'] }),
      call('obsidian_read_note', { vault: 'oaks', path: '../../etc/passwd' }),
      read('obsidian-mcp://vaults'),
    ],
    clocks: [isoTime, uuid],
  },
  {
    package: '@kubb/mcp',
    madeWith: 'tmcp, which uses no SDK',
    eras: ['legacy', 'modern'],
    argv: () => [],
    fill(folder) {
      write(folder, {
        'api.json': JSON.stringify({
          openapi: '3.1.0',
          info: { title: 'Oaks', version: '1' },
          paths: { '/oaks': { get: { operationId: 'oaks', responses: { default: { description: 'all' } } } } },
        }),
      })
    },
    sample: (folder) => ({ tool: 'validate', given: { input: join(folder, 'api.json') } }),
    steps: (folder) => [
      call('validate', { input: join(folder, 'api.json') }),
      call('validate', { input: join(folder, 'nothing.json') }),
      call('generate', { config: 7 }),
    ],
  },
  {
    package: 'effect-mcp',
    madeWith: 'Effect’s own implementation',
    needsInternet: true,
    answersUnknownAmiss: true,
    eras: ['legacy'],
    argv: () => [],
    sample: () => ({ tool: 'get_effect_doc', given: { documentId: 'none' } }),
    steps: () => [read('effect://nowhere'), call('get_effect_doc', { documentId: 'none' })],
  },
  {
    package: 'tailwindcss-mcp-server',
    madeWith: 'TypeScript SDK 0.6, and prints lines that are no messages',
    eras: ['legacy'],
    argv: () => [],
    sample: () => ({ tool: 'generate_color_palette', given: { baseColor: '#336699', name: 'sea' } }),
    steps: () => [
      call('get_tailwind_colors', { colorName: 'blue' }),
      call('convert_css_to_tailwind', { css: '.a { margin: 4px; color: red }' }),
      call('generate_color_palette', { baseColor: '#336699', name: 'sea' }),
      call('install_tailwind', { framework: 'vite' }),
      call('convert_css_to_tailwind', {}),
    ],
  },
  {
    package: 'time-mcp',
    madeWith: 'TypeScript SDK 1.32, and prints a line that is no message',
    eras: ['legacy'],
    argv: () => [],
    sample: () => ({ tool: 'days_in_month', given: { date: '2024-02-01' } }),
    steps: () => [
      { method: 'logging/setLevel', params: { level: 'info' } },
      call('days_in_month', { date: '2024-02-01' }),
      call('convert_time', { sourceTimezone: 'Asia/Tokyo', targetTimezone: 'Europe/Berlin', time: '2026-01-02 03:04:05' }),
      call('get_week_year', { date: '2026-01-02' }),
      call('convert_time', { sourceTimezone: 'Nowhere/At-all', targetTimezone: 'Europe/Berlin', time: '2026-01-02 03:04:05' }),
    ],
  },
  {
    package: '@cyanheads/git-mcp-server',
    madeWith: 'a framework of its own on the TypeScript SDK',
    eras: ['legacy'],
    argv: () => [],
    env: () => gitEnvironment,
    http: (_, port) => ({
      argv: [],
      env: {
        ...gitEnvironment,
        MCP_TRANSPORT_TYPE: 'http',
        MCP_HTTP_PORT: String(port),
        MCP_HTTP_HOST: '127.0.0.1',
        MCP_SESSION_MODE: 'stateful',
      },
      path: '/mcp',
    }),
    fill(folder) {
      const git = (...argv: string[]): Buffer =>
        execFileSync('git', argv, { cwd: folder, env: { ...process.env, ...gitEnvironment }, stdio: 'pipe' })
      git('init', '-q', '-b', 'main')
      write(folder, texts)
      git('add', '.')
      git('commit', '-q', '-m', 'plant oaks')
      write(folder, { 'where.txt': 'under the fourth oak\n' })
    },
    sample: (folder) => ({ tool: 'git_log', given: { path: folder } }),
    steps: (folder) => [
      call('git_set_working_dir', { path: folder }),
      call('git_status', {}),
      call('git_log', { maxCount: 2 }),
      call('git_diff', {}),
      call('git_add', { paths: ['where.txt'] }),
      call('git_commit', { message: 'move the treasure' }),
      call('git_show', { object: 'no-such-thing' }),
      prompt('git_wrapup', {}),
      read('git://working-directory'),
    ],
    clocks: [isoTime],
  },
  {
    package: 'firecrawl-mcp',
    madeWith: 'FastMCP 4.3',
    eras: ['legacy'],
    argv: () => [],
    env: (_, site) => ({ FIRECRAWL_API_URL: site }),
    sample: () => ({ tool: 'firecrawl_scrape', given: { url: 'https://example.com/oak', formats: ['markdown'] } }),
    steps: () => [
      { method: 'logging/setLevel', params: { level: 'debug' } },
      call('firecrawl_find_tools', { query: 'search' }),
      call('firecrawl_scrape', { url: 'https://example.com/oak', formats: ['markdown'] }),
      call('firecrawl_map', {}),
    ],
    clocks: [isoTime],
  },
]

const gitEnvironment = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Ann',
  GIT_AUTHOR_EMAIL: 'ann@example.com',
  GIT_COMMITTER_NAME: 'Ann',
  GIT_COMMITTER_EMAIL: 'ann@example.com',
  GIT_AUTHOR_DATE: '2026-01-02T03:04:05Z',
  GIT_COMMITTER_DATE: '2026-01-02T03:04:05Z',
}

/** The folder as every conversation finds it. */
export function freshFolder(server: Server, folder: string): void {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  server.fill?.(folder)
  utimesSync(folder, at, at)
}

/** What every server is asked, before and after what only this one can do. */
export function script(server: Server, folder: string, era: Era): readonly Step[] {
  const lists = ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list'].map((method) => ({ method, params: {} }))
  const first: readonly Step[] = [
    era === 'modern'
      ? { method: 'server/discover', params: {} }
      : {
          method: 'initialize',
          params: { protocolVersion: '2025-11-25', capabilities: server.capabilities ?? {}, clientInfo: { name: 'script', version: '1' } },
        },
  ]
  const last = [
    call('no-such-tool', { x: 1.5 }),
    ...(server.answersUnknownAmiss ? [] : [{ method: 'x/unknown', params: { n: 1 } }]),
    ...legacy(era, { method: 'ping', params: {} }),
  ]
  return [...first, ...lists, ...server.steps(folder, era), ...last]
}

export const argvOf = (server: Server, more: readonly string[]): readonly [string, ...string[]] => [
  process.execPath,
  stranger(server.package),
  ...more,
]
