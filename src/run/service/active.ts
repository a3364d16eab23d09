// Writes `active` in a service file and leaves every other byte as it is: a person's comments and order stay.
import { setKey } from '../../base/config/toml-edit.ts'
import { readService } from './read.ts'

/** The same text with `active` set; a text that says so already is not touched. The text is a valid service file. */
export async function withActive(text: string, active: boolean): Promise<string> {
  const service = await readService(text, 'the definition.toml')
  return service.active === active ? text : setKey(text, 'active', String(active))
}
