import { isUtf8 } from 'node:buffer'

// The headers of WebSocket messages that are written beneath `ws`.

const TEXT = 1
const BINARY = 2

/** The opcode of a WebSocket message that holds `bytes` (RFC 6455 §5.6: text must be UTF-8). */
export function opcodeOf(bytes: Buffer): number {
  return isUtf8(bytes) ? TEXT : BINARY
}

export function messageHeaderLength(payloadLength: number): number {
  if (payloadLength < 126) return 2
  return payloadLength < 65_536 ? 4 : 10
}

/** Writes the header of a whole, unmasked WebSocket message (RFC 6455 §5.2). @returns where the payload begins. */
export function writeMessageHeader(target: Buffer, at: number, opcode: number, payloadLength: number): number {
  target[at] = 0x80 | opcode
  if (payloadLength < 126) {
    target[at + 1] = payloadLength
  } else if (payloadLength < 65_536) {
    target[at + 1] = 126
    target.writeUInt16BE(payloadLength, at + 2)
  } else {
    target[at + 1] = 127
    target.writeUInt32BE(Math.floor(payloadLength / 2 ** 32), at + 2)
    target.writeUInt32BE(payloadLength % 2 ** 32, at + 6)
  }
  return at + messageHeaderLength(payloadLength)
}
