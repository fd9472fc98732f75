import type { ChannelFeed, FeedListener } from '../ports.ts'

// As from a server, a payload arrives after the call that published it, and all in the order of their publishing.

/** Pub/sub inside one process. */
export function createBus() {
  const feeds = new Set<(channel: string, payload: Buffer) => void>()
  let queue: [channel: string, payload: Buffer][] = []

  function flush(): void {
    const taken = queue
    queue = []
    for (const [channel, payload] of taken) for (const take of feeds) take(channel, payload)
  }

  return {
    publish(channel: string, payload: Buffer): void {
      if (queue.push([channel, payload]) === 1) queueMicrotask(flush)
    },

    createFeed(): ChannelFeed {
      const followed = new Set<string>()
      let listener: FeedListener | undefined
      const take = (channel: string, payload: Buffer) => {
        if (followed.has(channel)) listener?.message(channel, payload)
      }
      return {
        get ready() {
          return feeds.has(take)
        },
        async start(to) {
          listener = to
          feeds.add(take)
        },
        async follow(channel) {
          followed.add(channel)
        },
        unfollow(channel) {
          followed.delete(channel)
        },
        async close() {
          feeds.delete(take)
        }
      }
    }
  }
}
