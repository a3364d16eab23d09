// The member names of a JSON-RPC message that a relay or its rules read, by level: they may stand there once, and spelt exactly so.

const known = {
  root: ['jsonrpc', 'id', 'method', 'params', 'result', 'error'],
  params: [
    'name',
    'arguments',
    '_meta',
    'uri',
    'taskId',
    'requestId',
    'progressToken',
    'cursor',
    'protocolVersion',
    'capabilities',
    'clientInfo',
    'level',
    'ref',
    'argument',
    'task',
    'inputResponses',
    'requestState',
    'notifications',
  ],
  meta: [
    'progressToken',
    'traceparent',
    'tracestate',
    'baggage',
    'fairlead/grant',
    'io.modelcontextprotocol/protocolVersion',
    'io.modelcontextprotocol/clientCapabilities',
    'io.modelcontextprotocol/clientInfo',
    'io.modelcontextprotocol/logLevel',
    'io.modelcontextprotocol/subscriptionId',
    'io.modelcontextprotocol/related-task',
  ],
  ref: ['type', 'name', 'uri'],
  /** What a relay takes out of a server's answer, or leaves out of it. */
  result: [
    'isError',
    'resultType',
    'cacheScope',
    '_meta',
    'nextCursor',
    'tools',
    'prompts',
    'resources',
    'resourceTemplates',
    'tasks',
    'task',
    'taskId',
    'requestState',
  ],
  notifications: ['resourceSubscriptions', 'toolsListChanged', 'promptsListChanged', 'resourcesListChanged', 'taskIds'],
} as const
/** In a `result`, which is the server's own, other names than the known ones may stand twice. */
export type Level = 'root' | 'params' | 'meta' | 'arguments' | 'ref' | 'notifications' | 'result'

/** The names that matter at each level. */
export const exact: Record<Level, ReadonlySet<string>> = {
  root: new Set(known.root),
  params: new Set(known.params),
  meta: new Set(known.meta),
  arguments: new Set(),
  ref: new Set(known.ref),
  notifications: new Set(known.notifications),
  result: new Set(known.result),
}
/** The same in lower case: a name that is equal to one of these, but not to a known one, is a trap for a less strict reader. */
export const lowered: Record<Level, ReadonlySet<string>> = {
  root: new Set(known.root), // all lower case already
  params: new Set(known.params.map((key) => key.toLowerCase())),
  meta: new Set(known.meta.map((key) => key.toLowerCase())),
  arguments: new Set(),
  ref: new Set(known.ref), // all lower case already
  notifications: new Set(known.notifications.map((key) => key.toLowerCase())),
  result: new Set(known.result.map((key) => key.toLowerCase())),
}

/** Which members are watched objects themselves. */
export const watchedInside: Record<Level, Readonly<Record<string, Level>>> = {
  root: { params: 'params', result: 'result' },
  params: { _meta: 'meta', arguments: 'arguments', ref: 'ref', notifications: 'notifications' },
  meta: {},
  arguments: {},
  ref: {},
  notifications: {},
  result: {},
}
