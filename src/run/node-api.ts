// All that a node's agent serves: what runs there, its files, its certificate, and who may ask.
import { runApi } from './api.ts'
import { certificateApi } from './certs/api.ts'
import { filesApi } from './files/api.ts'
import { recoveryApi } from './recovery/api.ts'
import { tokenApi } from './token/api.ts'

export const nodeApi = { ...runApi, ...filesApi, ...certificateApi, ...recoveryApi, ...tokenApi } as const
