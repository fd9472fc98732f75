import { $, avatar, button, compose, el, follow, gapText, notice, parsed, time } from './dom.js'
import { ask } from './server.js'

/** Comments, and the likes that name one of them. */
export function createComments({ link, me, comments, likes }) {
  const liked = new Map()
  const counters = new Map()
  let total = 0

  function count(id) {
    total++
    liked.set(id, (liked.get(id) ?? 0) + 1)
    if (counters.has(id)) counters.get(id).textContent = `♥ ${liked.get(id)}`
    $('likes-total').textContent = total === 1 ? '1 like' : `${total} likes`
  }

  const post = (route, fields) =>
    link.send(route.send, JSON.stringify({ ...fields, sender: me.name, sendDate: new Date() }), {
      'content-type': 'application/json'
    })
  const like = id => post(likes, { commentId: id }).catch(error => notice(`Not confirmed: ${error.message}`))

  link.subscribe(
    comments.destination,
    ({ body }) => {
      const { commentId, sender = 'someone', message = body, sendDate } = parsed(body)
      const line = el('p', 'who', String(sender), ' ', time(sendDate ?? ''))
      const heart =
        commentId && likes ? button(`♥ ${liked.get(commentId) ?? 0}`, () => like(commentId), 'heart') : undefined
      heart?.setAttribute('aria-label', `Like the comment of ${sender}`)
      if (heart) counters.set(commentId, heart)
      follow(
        $('comment-list'),
        el('li', '', avatar(String(sender)), el('div', 'entry', line, el('p', 'text', String(message))), heart)
      )
    },
    { history: Math.min(50, comments.historySize), onGap: gap => notice(`Comments: ${gapText(gap)}`) }
  )
  if (likes) {
    link.subscribe(likes.destination, ({ body }) => count(parsed(body).commentId), { history: likes.historySize })
  }
  compose($('comment'), text => post(comments, { commentId: Math.random().toString(36).slice(2, 10), message: text }))
}

/** Any destination, as it comes. */
export function createWatch({ link, routes }) {
  const watched = new Map()
  $('destinations').append(...routes.map(({ destination }) => Object.assign(el('option'), { value: destination })))

  function drop(destination) {
    watched.get(destination)?.()
    watched.delete(destination)
    for (const item of $('watched').children) if (item.dataset.destination === destination) item.remove()
  }

  $('watch-form').addEventListener('submit', event => {
    event.preventDefault()
    const destination = $('watch-destination').value.trim()
    if (!destination || watched.has(destination)) return
    $('watch-destination').value = ''
    const item = el(
      'li',
      '',
      el('code', '', destination),
      button('Stop', () => drop(destination))
    )
    item.dataset.destination = destination
    $('watched').append(item)
    const show = (...parts) => follow($('frames'), el('li', '', el('p', 'who', destination, ' ', time()), ...parts))
    const unsubscribe = link.subscribe(destination, ({ body }) => show(el('pre', '', body)), {
      onGap: gap => show(el('p', 'gap', gapText(gap))),
      onRefused(reason) {
        drop(destination)
        notice(`${destination}: ${reason}`)
      }
    })
    watched.set(destination, unsubscribe)
  })
}

const POLL_MS = 2000
const POINTS = 30
const SHOWN = { records: 'consumed / s', produced: 'produced / s', deliveries: 'delivered / s' }
const SVG = 'http://www.w3.org/2000/svg'

/** Rates and sessions of the replica that answers. */
export function createLive({ me }) {
  const series = new Map(Object.keys(SHOWN).map(name => [name, []]))
  let last

  function line(points) {
    const svg = document.createElementNS(SVG, 'svg')
    svg.setAttribute('viewBox', `0 0 ${POINTS} 20`)
    svg.setAttribute('preserveAspectRatio', 'none')
    svg.setAttribute('aria-hidden', 'true')
    const top = Math.max(1, ...points)
    const path = document.createElementNS(SVG, 'polyline')
    path.setAttribute(
      'points',
      points.map((point, i) => `${POINTS - points.length + i},${19 - (point / top) * 18}`).join(' ')
    )
    svg.append(path)
    return svg
  }

  function rates(counters) {
    const now = performance.now()
    const rows = Object.entries(SHOWN).map(([name, label]) => {
      // A counter that went back belongs to another process: a restart, or another replica behind the proxy.
      const rate = last ? Math.max(0, ((counters[name] - last.counters[name]) * 1000) / (now - last.at)) : 0
      const points = series.get(name)
      points.push(rate)
      if (points.length > POINTS) points.shift()
      return el(
        'div',
        '',
        el('dt', '', label),
        el('dd', '', rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString()),
        line(points)
      )
    })
    last = { counters, at: now }
    $('rates').replaceChildren(...rows)
  }

  async function poll() {
    if (document.hidden) return
    try {
      const { counters, sessions } = await ask('/console/stats', me)
      rates(counters)
      $('connected-count').textContent =
        `sessions ${counters.sessions.toLocaleString()} · subscriptions ${counters.subscriptions.toLocaleString()}`
      const rows = sessions.map(({ principal, destinations }) =>
        el(
          'li',
          '',
          avatar(principal),
          el('div', 'entry', el('p', 'who', principal), el('p', 'muted', destinations.join('\n') || 'no subscription'))
        )
      )
      $('sessions').replaceChildren(...rows)
    } catch (error) {
      $('connected-count').textContent = error instanceof TypeError ? 'no answer' : error.message
    }
  }

  poll()
  setInterval(poll, POLL_MS)
}
