import { createRequire } from 'node:module'

interface Broker {
  produce(request: { producerId: string }): Promise<unknown>
}

/**
 * kafkajs 2.2.4 sends a batch to several brokers at once, and when one of them fails, it sends again to all that have not answered
 * yet, under new sequence numbers: what a slow broker then takes is written twice. So a failure is told only when none of the
 * producer's other requests is under way. Mends every producer in this process.
 */
export function mendProduce(): void {
  const require = createRequire(import.meta.url)
  const { prototype } = require('kafkajs/src/broker/index.js') as { prototype: Broker }
  const { produce } = prototype
  if (produce.name === 'produceOnce') return
  const underWay = new Map<string, Set<Promise<unknown>>>()
  prototype.produce = async function produceOnce(this: Broker, request) {
    const { producerId } = request
    const requests = underWay.get(producerId) ?? new Set()
    underWay.set(producerId, requests)
    const own = produce.call(this, request)
    requests.add(own)
    try {
      return await own
    } catch (error) {
      await Promise.allSettled(requests)
      throw error
    } finally {
      requests.delete(own)
      if (requests.size === 0) underWay.delete(producerId)
    }
  }
}
