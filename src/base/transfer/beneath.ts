// Names right in an open folder, without a path that somebody could bend meanwhile: what openat(2) and its like do (proc_pid_fd(5)).
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY

/** The path of `name` right in an open folder. */
export function beneath(folder: FileHandle, name: string): string {
  return `/proc/self/fd/${folder.fd}/${name}`
}

/** Opens a folder by its path. Rejects as the system does. */
export function openFolder(path: string): Promise<FileHandle> {
  return open(path, folderFlags)
}

/** Opens a folder right in an open one, and no link: Linux says ENOTDIR of one. */
export function openFolderIn(folder: FileHandle, name: string): Promise<FileHandle> {
  return open(beneath(folder, name), folderFlags | constants.O_NOFOLLOW)
}
