// All that a node's agent serves: what runs there, and who may ask.
import { runApi } from './api.ts'
import { tokenApi } from './token/api.ts'

export const nodeApi = { ...runApi, ...tokenApi } as const
