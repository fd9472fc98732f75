import { BatonError } from '../errors.ts'
import { acknowledged, type Context, type Handler, requireHeader, type Transaction } from './context.ts'
import type { Frame } from './frame.ts'

// A transaction is held here until COMMIT; then its SENDs are produced as one call, all or nothing. A connection that ends
// takes its transactions along (1.2, "BEGIN").

/** What any frame of a transaction costs besides its headers and body. */
const FRAME_BYTES = 256

export const begin: Handler = ({ transactions, options }, _, frame) => {
  const id = requireHeader(frame, 'transaction')
  if (transactions.has(id)) {
    throw new BatonError(
      'DUPLICATE_TRANSACTION',
      'this connection has begun a transaction with this name: COMMIT or ABORT it first'
    )
  }
  if (transactions.size >= options.maxTransactions) {
    throw new BatonError(
      'TRANSACTION_TOO_LARGE',
      `a connection may have ${options.maxTransactions} transactions at one time`
    )
  }
  transactions.set(id, { prepared: [], acknowledgements: [], bytes: 0 })
  return {}
}

export const commit: Handler = (context, _, frame) => {
  const { prepared, acknowledgements } = end(context, frame)
  for (const acknowledge of acknowledgements) acknowledge()
  return prepared.length === 0 ? {} : { done: acknowledged(context, context.deps.inbound.produce(prepared)) }
}

export const abort: Handler = (context, _, frame) => {
  end(context, frame)
  return {}
}

function end(context: Context, frame: Frame): Transaction {
  const transaction = find(context, requireHeader(frame, 'transaction'))
  context.transactions.delete(requireHeader(frame, 'transaction'))
  return transaction
}

/**
 * The transaction that a SEND, ACK or NACK belongs to, with the frame counted in; undefined: none.
 * @throws BatonError UNKNOWN_TRANSACTION, TRANSACTION_TOO_LARGE
 */
export function transactionOf(context: Context, { headers, body }: Frame): Transaction | undefined {
  const id = headers.get('transaction')
  if (id === undefined) return undefined
  const transaction = find(context, id)
  transaction.bytes += FRAME_BYTES + body.length
  for (const [name, value] of headers) transaction.bytes += name.length + value.length
  const { transactionBytes } = context.options
  const bytes = context.transactions.values().reduce((sum, open) => sum + open.bytes, 0)
  if (bytes > transactionBytes) {
    throw new BatonError(
      'TRANSACTION_TOO_LARGE',
      `the open transactions of a connection may hold ${transactionBytes} bytes: COMMIT in smaller parts`
    )
  }
  return transaction
}

function find({ transactions }: Context, id: string): Transaction {
  const transaction = transactions.get(id)
  if (!transaction) {
    throw new BatonError('UNKNOWN_TRANSACTION', 'transaction names none that this connection has begun and not ended')
  }
  return transaction
}
