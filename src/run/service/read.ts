// Reads a service file: wholly understood, or refused with file, line and key.
import { loadConfig } from '../../base/config/config.ts'
import { Fault } from '../../kernel/fault.ts'
import { fault } from '../faults.ts'
import { type Service, maxServiceLength, serviceFile } from './config.ts'

/** The service that `text` defines; `file` is how it is named in faults. Faults: `config.invalid`, `run.too_long`, `run.other_name` when it is to be called otherwise. */
export async function readService(text: string, file: string, expected?: string): Promise<Service> {
  if (text.length > maxServiceLength) throw fault.too_long({ file, most: maxServiceLength })
  const { value } = await loadConfig({ schema: serviceFile, path: file, text }).catch((error: unknown) => {
    throw error instanceof Fault && error.code === 'config.invalid' ? withCheck(error) : error
  })
  if (expected !== undefined && value.name !== expected) throw fault.other_name({ file, name: value.name, expected })
  return value
}

/** A definition is no configuration of the program, and is checked by another command. */
function withCheck({ code, kind, message, details, cause }: Fault): Fault {
  return new Fault(code, { kind, message, hint: 'mend it, then try: mcp service check' }, details, cause)
}
