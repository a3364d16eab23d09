// What apt-get says that it would install (apt-get --simulate), as values; pure.

export type OsUpdate = { readonly name: string; readonly from?: string; readonly to: string; readonly origin?: string }

/** Lines such as `Inst base-files [12.4] (12.4+deb12u5 Debian:12.5/stable [amd64])`. */
export function parseAptSimulation(text: string): OsUpdate[] {
  return [...text.matchAll(/^Inst (\S+)(?: \[([^\]]+)\])? \((\S+)(?: (.+?))?(?: \[[^\]]+\])?\)/gm)].map(([, name, from, to, origin]) => ({
    name: name!,
    ...(from === undefined ? {} : { from }),
    to: to!,
    ...(origin === undefined ? {} : { origin }),
  }))
}
