// The operators' files: each lands whole in the folder of the service that it is for, under a harmless name.
import type { Connector } from '../connector-kind.ts'
import { commonCapabilities } from '../connector-kind.ts'
import { fileIn } from '../connector/upload-request.ts'

const operatorUpload: Connector = {
  id: 'operator_upload',
  channels: ['handshake', 'heartbeat', 'upload'],
  capabilities: [...commonCapabilities, 'upload'],
  chakra: 'operator',
  channel: 'upload',
  async handle({ uploads }, { request, query }) {
    const file = fileIn(request, query)
    const { storedAs } = await uploads.store({ ...file, from: 'operator_upload', bytes: request as AsyncIterable<Uint8Array> })
    return { service: file.service, stored_as: storedAs, size_bytes: file.sizeBytes, sha256: file.sha256 }
  },
}

export default operatorUpload
