import type { EventEmitter } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

// stomp-broker-js out of the folder that is named. Without heart-beats, as all are driven.

interface Options {
  server: Server
  path: string
  heartbeat: [number, number]
}

const require = createRequire(join(process.argv[2] as string, 'package.json'))
const StompServer = require('stomp-broker-js') as new (options: Options) => EventEmitter

const server = createServer()
const broker = new StompServer({ server, path: '/ws', heartbeat: [0, 0] })
broker.on('error', () => undefined)
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
