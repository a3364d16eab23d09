// What may be written down of a URI: people put credentials into its user information and its query.

/** Scheme, host and path as they came; what may hold a credential is left out. */
export function bareUri(uri: string): string {
  const end = uri.search(/[?#]/)
  return (end < 0 ? uri : uri.slice(0, end)).replace(/^((?:[a-z][a-z0-9+.-]*:)?[\\/]{2,})[^\\/]*@/i, '$1')
}
