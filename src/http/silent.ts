import type { FastifyInstance } from 'fastify'

/**
 * Lets `app.close` wait for requests and for nothing else: Node closes connections between two requests, but takes one that
 * never sent any for busy, such as those that browsers open in advance.
 */
export function closeSilent(app: FastifyInstance): void {
  const { server } = app
  let underWay = 0
  let closing = false
  const cut = () => {
    if (closing && underWay === 0) server.closeAllConnections()
  }
  server.on('request', (_, response) => {
    underWay++
    response.once('close', () => {
      underWay--
      cut()
    })
  })
  app.addHook('preClose', async () => {
    closing = true
    server.on('connection', socket => socket.destroy())
    cut()
  })
}
