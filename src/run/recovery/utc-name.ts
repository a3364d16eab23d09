// Names of copies: when they were made, in UTC, so that they sort by time.

/** `20261130T031500Z`, or `…-2` and so on where there is one already. */
export function utcName(nowMs: number, isTaken: (name: string) => boolean): string {
  const utc = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  let name = utc
  for (let again = 2; isTaken(name); again++) name = `${utc}-${again}`
  return name
}
