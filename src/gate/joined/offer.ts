// What the endpoint for all upstreams says of itself: the same whatever stands behind it, so that no upstream can hold up or change it.

/** No upstream can be called that. */
export const joinedName = '*'
export const serverInfo = { name: 'fairlead', version: '1' }
export const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  logging: {},
}
export const instructions =
  'Several servers behind one gate: every tool and prompt is named SERVER__NAME, by the server that it belongs to. Resources keep their URIs.'
