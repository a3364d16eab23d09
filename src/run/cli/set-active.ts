// Stop and start: the definition first, so that what a person wants is written down even when the node does not answer.
import type { Context } from '../../base/terminal/command.ts'
import { placeOf, saveActive } from './definitions.ts'
import { fault } from './faults.ts'
import { onProgress, simulatedText } from './shown.ts'
import { findService } from './whereabouts.ts'

/** Faults `mcp.*`, and those of the node. */
export async function setActive(context: Context, text: string, active: boolean): Promise<void> {
  const { terminal, signal } = context
  const { service, component } = placeOf(text)
  if (component !== undefined) throw fault.whole_service({ service, component })
  const { nodes, node, definition } = await findService(context, service)
  const written = await saveActive(nodes.files, definition, active)
  if (written !== undefined) terminal.note(`${written}: active = ${active}`)
  const { isSimulated } = await node.client().calls['set-active']({ service, active }, { signal, onItem: onProgress(terminal) })
  terminal.result(
    { node: node.name, service, active, isSimulated, written: written ?? null },
    () => `${service} ${active ? 'runs' : 'is stopped'} on ${node.name}${simulatedText(isSimulated)}`,
  )
}
